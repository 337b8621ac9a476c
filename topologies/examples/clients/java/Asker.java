import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.URI;
import java.net.URL;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/** Asks TARGET four times a second, each time over a new connection, and says a line of each. */
public class Asker {
    private static final long PERIOD_NS = 250_000_000L;
    private static final int CONNECT_MS = 1000;
    private static final int ANSWER_MS = 1000;

    public static void main(String[] arguments) throws Exception {
        URL url = URI.create(System.getenv("TARGET")).toURL();
        System.setProperty("http.keepAlive", "false");
        long next = System.nanoTime();
        while (true) {
            System.out.println(attempt(url));
            next = Math.max(next + PERIOD_NS, System.nanoTime());
            TimeUnit.NANOSECONDS.sleep(next - System.nanoTime());
        }
    }

    private static String attempt(URL url) {
        long began = System.nanoTime();
        String address = "";
        double lookup = 0;
        String end;
        try {
            address = InetAddress.getByName(url.getHost()).getHostAddress();
            lookup = since(began);
            end = ask(url);
        } catch (IOException error) {
            end = "\"ok\":false,\"error\":\"" + error.getClass().getSimpleName() + '"';
        }
        return String.format(Locale.ROOT,
            "{%s,\"ms\":%.3f,\"address\":\"%s\",\"lookup_ms\":%.3f}",
            end, since(began), address, lookup);
    }

    private static String ask(URL url) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        connection.setConnectTimeout(CONNECT_MS);
        connection.setReadTimeout(ANSWER_MS);
        int status = connection.getResponseCode();
        if (status != 200) {
            connection.disconnect();
            return "\"ok\":false,\"error\":\"" + status + '"';
        }
        try (var body = connection.getInputStream()) {
            body.readAllBytes();
        }
        return "\"ok\":true,\"server\":\"" + connection.getHeaderField("X-Netemu-Server") + '"';
    }

    private static double since(long began) {
        return (System.nanoTime() - began) / 1e6;
    }
}
