"""The plain words say what the history shows, and nothing else."""

from __future__ import annotations

from emulator.analysis.explain import explain
from emulator.analysis.recovery import measure
from emulator.events import Forced, Proxy
from tests.analysis.stories import OPEN, region_loss
from tests.builders import ADDRESSES, Story, ns


def why(story: Story) -> str:
    history = story.history()
    return explain(measure(history), history)[0]


def test_power_names_the_checks_the_cache_and_the_stream():
    """With the numbers of the measurements, and what a shorter TTL would have saved."""
    text = why(region_loss())
    assert text.startswith("us-east lost power, so nothing said goodbye.")
    assert "ns1 needed 3 checks (3.42 s) to notice" in text
    assert "held the old answer for the rest of its 5 s TTL (4.79 s" in text
    assert "new-york's tcp stream took 11.10 s: 2.78 s went by in its own wait" in text
    assert "A TTL of 2 s would have saved about 3 s, for 2.5 times the DNS queries." in text


def test_unbounds_whole_seconds_are_explained_when_they_show():
    """Held longer than its TTL, by less than a second."""
    assert "counts whole seconds, so it held it 5.6 s in all" in why(region_loss())
    story = Story().fault(10).down(13.4).answer(13.3, "us-east").answer(18.3, "eu-west")
    story.requests(0, 10).dead(10, 18.4).requests(18.4, 40, region="eu-west")
    assert "whole seconds" not in why(story)


def test_a_resolvers_back_off_is_explained_when_it_shows():
    """No answer from any name server for much longer than the TTL."""
    story = Story().fault(10).down(13.4).answer(8, "us-east").answer(40, "eu-west")
    story.requests(0, 10).dead(10, 40.1).requests(40.1, 60, region="eu-west")
    text = why(story)
    assert "got no answer from any name server for 32.0 s" in text
    assert "TTL of" not in text


def test_crash_tells_what_the_wire_saw():
    """RST and FIN of the target, counted."""
    story = Story().fault(10, how="crash").requests(0, 10)
    story.packet(10.01, "rst", "us-east", "new-york").packet(10.01, "fin", "us-east", "paris")
    story.requests(10, 10.1, outcome="error", detail="ECONNREFUSED")
    text = why(story.requests(10.1, 30, region="eu-west"))
    assert "the programs died while the kernel lived: 1 RST and 1 FIN of it" in text


def test_freeze_tells_of_handshakes_and_of_checks_that_stayed_green():
    """Only when the history has them."""
    story = Story().fault(10, how="freeze").requests(0, 10)
    story.dead(10, 40, detail="response")
    assert "handshake" not in why(story)
    text = why(story.packet(11, "synack", "us-east", "new-york"))
    assert "its kernel still completed 1 handshake, but nothing answered" in text
    assert "no health check of the name servers noticed" in text
    assert "noticed." not in why(story.down(14))


def test_a_drain_that_lost_nobody_says_so():
    """Every client had moved."""
    text = why(Story().fault(10, how="drain").requests(0, 15).requests(15, 40, region="eu-west"))
    assert "No request failed (600 were made): every client had moved" in text
    assert "moved" not in why(Story().fault(10, how="drain").requests(0, 40))


def test_a_server_that_l7_hid_names_the_balancer():
    """Nobody outside noticed; the balancer did."""
    story = Story().fault(10, "us-east/www-1", "freeze", hosts=("us-east/www-1",))
    story.events.append(
        Proxy(t=ns(13), region="us-east", service="www", server="us-east/www-1", state="DOWN")
    )
    text = why(story.requests(0, 40))
    assert "the balancer of us-east hid it" in text
    assert "marked us-east/www-1 DOWN after 3.00 s" in text


def test_the_last_of_several_streams_is_what_recovery_waits_for():
    """The first was on eu-west at once, the second after its attempt to the dead address."""
    story = Story().fault(10).requests(0, 10, kind="stream").dead(10, 16, kind="stream")
    for conn, at in enumerate((13.0, 15.9)):
        story.connection(at - 0.1, "attempt", conn, address="")
        story.connection(at, "open", conn, address=ADDRESSES["eu-west"])
    text = why(story.requests(16, 40, kind="stream", region="eu-west", **OPEN))
    assert "until the last of its 2 new connections was open" in text


def test_partition_and_brownout_have_their_own_words():
    """Silence with both sides alive; slow with data sent again."""
    cut = Story().fault(10, how="partition").requests(0, 10).dead(10, 40)
    assert "us-east was cut off: silence, while both sides lived." in why(cut)
    slow = Story().fault(10, how="brownout").requests(0, 40)
    slow.packet(12, "again", "new-york", "us-east")
    assert "1 data segment had to be sent again" in why(slow)


def test_disagreeing_name_servers_are_a_reason():
    """By how much, and who gave the old answer after the new one."""
    story = Story().fault(10).down(13.4).down(15.0, "ns2").answer(12, "us-east")
    story.answer(13.5, "eu-west").answer(14.6, "us-east", "ns2")
    story.requests(0, 10).dead(10, 19.8).requests(19.8, 40, region="eu-west")
    text = why(story)
    assert "ns2 noticed 1.60 s later than ns1" in text
    assert "ns2 still named us-east at 14.6 s" in text


def test_what_is_inconclusive_is_not_explained():
    """It says why nothing can be said."""
    text = why(Story().fault(10).requests(0, 10).dead(10, 11))
    assert "Of new-york's http, new connections nothing can be said" in text


def test_datagrams_lost_with_one_server_are_explained_by_conntrack():
    """L7 hid the death; the flows that were pinned to the dead server had nobody to hide it."""
    story = Story().fault(10, "us-east/www-1", "crash", hosts=("us-east/www-1",))
    story.requests(0, 10, kind="udp").dead(10, 20, kind="udp").requests(20, 40, kind="udp")
    text = why(story)
    assert "pinned to the dead server" in text
    assert "RST" not in text  # what the wire saw of the site is not that host's


def test_a_forced_region_was_not_broken():
    """The words say what changed: what name servers answer."""
    story = Story().fault(10, how="force", healed=20).requests(0, 40, region="us-east")
    for server in ("ns1", "ns2"):
        story.events.append(
            Forced(t=ns(10.01), server=server, service="www", region="us-east", state="down")
        )
    assert why(story).startswith(
        "us-east was forced down in DNS: new lookups go elsewhere, open connections stay."
    )
