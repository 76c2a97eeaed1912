"""Which IP addresses are on the internet."""

from __future__ import annotations

import socket

import pytest

from gateway.odata.public_addresses import NotPublic, is_public, public_socket


@pytest.mark.parametrize(
    "address",
    ["20.50.2.1", "1.1.1.1", "2603:1030:20e:3::23c", "::ffff:20.50.2.1", "64:ff9b::1432:201"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
        *("192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "192.0.2.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
        *("::", "::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::7f00:1"),
        *("2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1"),
        *("64:ff9b:1::1", "100::1", "2001:0:1::f5ff:fffe", "::ffff:168.63.129.16", "4000::1"),
        *("", "localhost", "127.1", "0x7f.1", "1.1.1.1:443", "[::1]"),
    ],
)
def test_other_addresses(address: str) -> None:
    assert not is_public(address)


def test_sockets_are_made_for_public_addresses_only() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    with public_socket((*info, ("20.50.2.1", 443))) as made:
        assert made.type is socket.SOCK_STREAM

    with pytest.raises(NotPublic):
        public_socket((*info, ("127.0.0.1", 443)))
    with pytest.raises(NotPublic):
        public_socket((socket.AF_INET6, *info[1:], ("::1", 443, 0, 0)))
