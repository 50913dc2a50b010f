"""What leaves the platform: only to listed hosts, only at checked addresses, signed, bounded, in order, and never lost."""

import base64
import ipaddress
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.apps.receiver import certified, receiving

from leverframe.apps.egress.addresses import parse_networks, pinned, reachable
from leverframe.apps.egress.client import ANSWER_BYTES_MAX, BODY_BYTES_MAX, Egress
from leverframe.apps.egress.destination import check_allowed, parse_allowed, parse_destination
from leverframe.apps.egress.outbox import Message, Outbox
from leverframe.apps.egress.sender import ATTEMPTS_MAX, Sender, pause_s
from leverframe.core.clock import SECOND_US
from leverframe.core.errors import Forbidden, InvalidInput, LimitExceeded, Unavailable
from leverframe.governance.signing import SigningKey

LOOPBACK = parse_networks("127.0.0.0/8, ::1/128")
KEY = SigningKey.generate()


def _egress(port, *, hosts="", networks=LOOPBACK, **more):
    return Egress(parse_allowed(hosts or f"http://127.0.0.1:{port}, http://hooks.test:{port}"), networks, KEY, **more)


def _post(egress, url, id="m-1", body=b"{}"):
    return egress.post(url, id, body, "application/json")


# Addresses of destinations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://good.test@evil.test/",
        "https://good.test:80@evil.test/",
        "https://good.test\\@evil.test/",
        "https://good.test#@evil.test/",
        "https://good.test/\r\nHost: evil.test",
        "https://good.test /",
        " https://good.test/",
        "https://gооd.test/",
        "https://good.test:99999/",
        "https://good.test:0/",
        "https:/good.test/",
        "https:good.test",
        "//good.test/",
        "ftp://good.test/",
        "file:///etc/passwd",
        "gopher://good.test/",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://good.test./",
        "https://[::1%25eth0]/",
        "https://[::1/",
        "https://good..test/",
        "https://-good.test/",
        "https:///path",
        "",
        "https://good.test/" + "a" * 2048,
    ],
)
def test_an_address_that_can_be_read_two_ways_is_no_address(url):
    with pytest.raises(InvalidInput):
        parse_destination(url)


def test_only_what_the_operator_listed_is_a_destination():
    allowed = parse_allowed("hooks.test, *.wild.test:8443, http://10.0.0.1:5000")
    for url in ("https://HOOKS.test/x?y=1", "https://a.b.wild.test:8443/", "http://10.0.0.1:5000/", "https://hooks.test:443/"):
        check_allowed(parse_destination(url), allowed)
    for url in (
        "http://hooks.test/",
        "https://hooks.test:8443/",
        "https://hooks.test.evil.test/",
        "https://evilhooks.test/",
        "https://wild.test:8443/",
        "https://evilwild.test:8443/",
        "https://10.0.0.1:5000/",
        "http://10.0.0.1/",
    ):
        with pytest.raises(Forbidden):
            check_allowed(parse_destination(url), allowed)
    with pytest.raises(Forbidden):
        check_allowed(parse_destination("https://hooks.test/"), parse_allowed(""))


def test_a_refusal_does_not_repeat_a_path_that_may_be_a_secret():
    with pytest.raises(Forbidden) as raised:
        check_allowed(parse_destination("https://hooks.test/services/T0/B0/s3cr3t"), ())
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1",
    ],
)  # fmt: skip
def test_nothing_inside_a_network_can_be_reached(address):
    assert not reachable(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_can_be_reached(address):
    assert reachable(ipaddress.ip_address(address), ())


def test_an_inside_network_that_the_operator_named_can_be_reached_and_no_other():
    networks = parse_networks("10.1.0.0/16")
    assert reachable(ipaddress.ip_address("10.1.9.9"), networks)
    assert not reachable(ipaddress.ip_address("10.2.0.1"), networks)
    with pytest.raises(InvalidInput):
        parse_networks("10.1.0.0/99")


def test_one_private_address_among_public_ones_refuses_the_name():
    with pytest.raises(Forbidden, match=r"10\.0\.0\.5"):
        pinned("two.test", 443, (), lambda host, port: ("93.184.215.14", "10.0.0.5"))


# One delivery ------------------------------------------------------------------------------------------------------------


def test_a_name_is_looked_up_once_and_the_connection_goes_to_that_answer():
    """DNS rebinding: a resolver that answers a public address first and loopback at the second question must not be asked twice."""
    with receiving() as server:
        asked = []

        def rebinding(host, port):
            asked.append(host)
            return ("127.0.0.1",) if len(asked) == 1 else ("127.0.0.66",)

        answer = _post(_egress(server.port, resolve=rebinding), f"http://hooks.test:{server.port}/in")
        assert (answer.status, asked) == (204, ["hooks.test"])
        assert server.taken[0][1]["host"] == f"hooks.test:{server.port}"
        rebound = _egress(server.port, networks=(), resolve=lambda host, port: ("127.0.0.1",))
        with pytest.raises(Forbidden):
            _post(rebound, f"http://hooks.test:{server.port}/in")
        assert len(server.taken) == 1


def test_a_redirect_is_an_answer_and_is_not_followed():
    with receiving() as inside, receiving() as server:
        server.status, server.headers = 307, {"Location": f"http://127.0.0.1:{inside.port}/latest/meta-data"}
        answer = _post(_egress(server.port), f"http://127.0.0.1:{server.port}/")
        assert (answer.status, answer.taken, inside.taken) == (307, False, [])


def test_the_body_is_signed_so_that_the_public_key_alone_proves_it():
    with receiving() as server:
        _post(_egress(server.port, clock=lambda: 1_700_000_000.9), f"http://127.0.0.1:{server.port}/x?y=1", "audit-7", b'{"a":1}')
        path, headers, body = server.taken[0]
        assert (path, body, headers["webhook-id"], headers["webhook-timestamp"]) == ("/x?y=1", b'{"a":1}', "audit-7", "1700000000")
        scheme, _, signature = headers["webhook-signature"].partition(",")
        assert scheme == "v1a"
        load_pem_public_key(KEY.public_pem).verify(base64.b64decode(signature), b'audit-7.1700000000.{"a":1}')
        with pytest.raises(InvalidSignature):
            load_pem_public_key(KEY.public_pem).verify(base64.b64decode(signature), b'audit-7.1700000000.{"a":2}')


def test_environment_proxies_are_not_asked(monkeypatch):
    with receiving() as proxy, receiving() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert _post(_egress(server.port), f"http://127.0.0.1:{server.port}/").taken
        assert proxy.taken == []


def test_a_certificate_is_checked_against_the_name_though_the_connection_goes_to_an_address(tmp_path):
    pem, context = certified(tmp_path, "hooks.test")
    with receiving(tls=context) as server:
        to = {"hosts": f"hooks.test:{server.port}, other.test:{server.port}", "resolve": lambda host, port: ("127.0.0.1",)}
        trusting = _egress(server.port, authorities=str(pem), **to)
        assert _post(trusting, f"https://hooks.test:{server.port}/").taken
        with pytest.raises(Unavailable, match="certificate"):
            _post(trusting, f"https://other.test:{server.port}/")
        with pytest.raises(Unavailable, match="certificate"):
            _post(_egress(server.port, **to), f"https://hooks.test:{server.port}/")
        assert len(server.taken) == 1


def test_sizes_are_bounded_both_ways():
    with receiving() as server:
        server.body = b"x" * (ANSWER_BYTES_MAX * 20)
        assert _post(_egress(server.port), f"http://127.0.0.1:{server.port}/").taken
        with pytest.raises(LimitExceeded):
            _post(_egress(server.port), f"http://127.0.0.1:{server.port}/", body=b"x" * (BODY_BYTES_MAX + 1))
        assert len(server.taken) == 1


def test_nobody_there_is_unavailable():
    with receiving() as server:
        port = server.port
    with pytest.raises(Unavailable, match="nobody answers"):
        _post(_egress(port), f"http://127.0.0.1:{port}/")


# The outbox --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def outbox(tmp_path):
    opened = Outbox(tmp_path / "outbox.db")
    yield opened
    opened.close()


def _message(number, port, path="/"):
    return Message(id=f"m-{number}", url=f"http://127.0.0.1:{port}{path}", content_type="application/json", body=b"%d" % number)


def _bodies(server):
    return [int(body) for _, _, body in server.taken]


def test_a_channel_is_delivered_in_order_and_a_failure_holds_what_is_behind_it(outbox):
    with receiving() as server:
        outbox.put("a", 3, [_message(n, server.port) for n in (1, 2, 3)], 0)
        server.answers = [204, 500]
        sender = Sender(outbox, _egress(server.port))
        assert sender.look(0) == 1
        assert _bodies(server) == [1, 2]
        assert sender.look(0) == 0, "the pause is kept"
        assert sender.look(SECOND_US) == 2
        assert _bodies(server) == [1, 2, 2, 3]
        assert outbox.standing("a").waiting == 0


def test_one_channel_in_trouble_does_not_hold_another(outbox):
    with receiving() as server, receiving() as broken:
        broken.status = 503
        outbox.put("bad", 1, [_message(n, broken.port) for n in (1, 2)], 0)
        outbox.put("good", 1, [_message(n, server.port) for n in (1, 2)], 0)
        both = _egress(0, hosts=f"http://127.0.0.1:{server.port}, http://127.0.0.1:{broken.port}")
        assert Sender(outbox, both).look(0) == 2
        assert (_bodies(server), _bodies(broken)) == ([1, 2], [1])


def test_after_all_attempts_a_message_is_a_dead_letter_and_can_be_tried_again(outbox):
    with receiving() as server:
        server.status = 500
        outbox.put("a", 2, [_message(1, server.port), _message(2, server.port)], 0)
        sender, now_us = Sender(outbox, _egress(server.port)), 0
        while outbox.standing("a").waiting:
            sender.look(now_us)
            now_us += pause_s(ATTEMPTS_MAX) * SECOND_US
        assert len(server.taken) == 2 * ATTEMPTS_MAX
        assert [letter.said for letter in outbox.dead("a")] == ["HTTP 500", "HTTP 500"]
        server.status = 204
        outbox.revive("a")
        assert sender.look(now_us) == 2
        assert _bodies(server)[-2:] == [1, 2]
        assert outbox.standing("a").dead == 0


def test_a_receiver_s_wish_to_be_left_alone_is_kept_and_gone_is_final(outbox):
    with receiving() as server:
        server.answers, server.headers = [429], {"Retry-After": "90"}
        outbox.put("a", 1, [_message(1, server.port)], 0)
        sender = Sender(outbox, _egress(server.port))
        sender.look(0)
        assert sender.look(89 * SECOND_US) == 0
        assert sender.look(90 * SECOND_US) == 1
        server.answers = [410]
        outbox.put("a", 2, [_message(2, server.port)], 0)
        sender.look(0)
        assert outbox.standing("a").dead == 1


def test_a_host_that_was_taken_off_the_list_gets_nothing_more(outbox):
    with receiving() as server:
        outbox.put("a", 1, [_message(1, server.port)], 0)
        Sender(outbox, _egress(server.port, hosts="elsewhere.test")).look(0)
        assert (server.taken, outbox.standing("a").dead) == ([], 1)


def test_dead_letters_are_bounded(outbox, monkeypatch):
    monkeypatch.setattr("leverframe.apps.egress.outbox.DEAD_MAX", 5)
    outbox.put("a", 1, [_message(n, 1) for n in range(9)], 0)
    for _ in range(9):
        outbox.bury(outbox.due(0)[0].place, 0, "no")
    assert [letter.message.id for letter in outbox.dead("a")] == ["m-8", "m-7", "m-6", "m-5", "m-4"], "the newest are kept"


def test_the_outbox_is_readable_by_its_owner_only(tmp_path):
    Outbox(tmp_path / "outbox.db").close()
    assert (tmp_path / "outbox.db").stat().st_mode & 0o077 == 0


def test_a_kill_between_queueing_and_sending_loses_nothing_and_queues_nothing_twice(tmp_path):
    """A process is killed again and again while it queues numbers and sends them: all arrive in order, repeats only side by side."""
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from leverframe.apps.egress.addresses import parse_networks
        from leverframe.apps.egress.client import Egress
        from leverframe.apps.egress.destination import parse_allowed
        from leverframe.apps.egress.outbox import Message, Outbox
        from leverframe.apps.egress.sender import Sender
        from leverframe.governance.signing import SigningKey
        path, port = Path(sys.argv[1]), sys.argv[2]
        outbox = Outbox(path)
        egress = Egress(parse_allowed(f"http://127.0.0.1:{port}"), parse_networks("127.0.0.0/8"), SigningKey.generate())
        sender = Sender(outbox, egress)
        for seq in range((outbox.cursor("a") or 0) + 1, 121):
            outbox.put("a", seq, [Message(id=f"m-{seq}", url=f"http://127.0.0.1:{port}/", content_type="t", body=b"%d" % seq)], 0)
            if seq % 3 == 0:
                sender.look(0)
        sender.look(0)
        print("done")
    """)
    with receiving() as server:
        command = [sys.executable, "-c", script, str(tmp_path / "outbox.db"), str(server.port)]
        kills = 0
        for wanted in (20, 70, 10_000):
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            while process.poll() is None and len(set(_bodies(server))) < wanted:
                pass
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
            process.wait(30)
            process.stdout.close()
        seen = _bodies(server)
    assert kills == 2
    assert list(dict.fromkeys(seen)) == list(range(1, 121)), "lost or out of order"
    assert sorted(seen) == seen, "a repeat comes right after the first delivery"
