// Asks TARGET four times a second, each time over a new connection, and says a line of each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"time"
)

const (
	period  = 250 * time.Millisecond
	connect = time.Second
	answer  = 2 * time.Second // the connect's part in it
)

type attempt struct {
	OK       bool    `json:"ok"`
	Ms       float64 `json:"ms"`
	Address  string  `json:"address,omitempty"`
	Server   string  `json:"server,omitempty"`
	Error    string  `json:"error,omitempty"`
	LookupMs float64 `json:"lookup_ms"`
}

func main() {
	client := &http.Client{
		Timeout: answer,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{Timeout: connect}).DialContext,
		},
	}
	lines := json.NewEncoder(os.Stdout)
	for next := time.Now(); ; time.Sleep(time.Until(next)) {
		began := time.Now()
		told := ask(client, os.Getenv("TARGET"))
		told.Ms = since(began)
		lines.Encode(told)
		if next = next.Add(period); next.Before(time.Now()) {
			next = time.Now()
		}
	}
}

func ask(client *http.Client, url string) (told attempt) {
	request, err := http.NewRequestWithContext(watched(&told), "GET", url, nil)
	if err != nil {
		told.Error = err.Error()
		return
	}
	response, err := client.Do(request)
	if err != nil {
		told.Error = why(err)
		return
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err != nil {
		told.Error = why(err)
	} else if response.StatusCode != http.StatusOK {
		told.Error = fmt.Sprint(response.StatusCode)
	} else {
		told.OK, told.Server = true, response.Header.Get("X-Netemu-Server")
	}
	return
}

// watched is told what the request does below HTTP: how long its lookup takes, whom it asks.
func watched(told *attempt) context.Context {
	var began time.Time
	return httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { began = time.Now() },
		DNSDone:      func(httptrace.DNSDoneInfo) { told.LookupMs = since(began) },
		ConnectStart: func(_, peer string) { told.Address, _, _ = net.SplitHostPort(peer) },
	})
}

func why(err error) string {
	var slow net.Error
	var unnamed *net.DNSError
	if errors.As(err, &slow) && slow.Timeout() {
		return "timeout"
	}
	if errors.As(err, &unnamed) {
		return "lookup failed"
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

func since(began time.Time) float64 {
	return float64(time.Since(began).Microseconds()) / 1e3
}
