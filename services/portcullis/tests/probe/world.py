"""The outside world of a test: answers every connection and every datagram that the firewall before it lets through.

Everything is redirected to port 7, whatever address and port it was for. Datagrams that look like DNS queries get an answer: names below
example.com do not exist, all others have an address. Everything else is sent back. Neighbours answer multicast DNS and LLMNR.
"""

import pathlib
import selectors
import socket
import struct
import sys

PORT = 7
GROUPS = [("224.0.0.251", "ff02::fb", 5353), ("224.0.0.252", "ff02::1:3", 5355)]


def dns_answer(query):
    """The answer to a DNS query, or None."""
    if len(query) < 17 or query[2] & 0x80 or query[4:6] != b"\0\1" or query[6:10] != b"\0\0\0\0":
        return None
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]])
        at += 1 + query[at]
    if len(query) < at + 5:
        return None
    question, kind = query[12 : at + 5], struct.unpack(">H", query[at + 1 : at + 3])[0]
    exists = len(labels) < 3 or b".".join(labels[-2:]) != b"example.com"
    records = 1 if exists and kind == 1 else 0
    answer = query[:2] + bytes([0x81, 0x80 if exists else 0x83]) + struct.pack(">HHHH", 1, records, 0, 0) + question
    return answer + (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc6\x12\0\x09" if records else b"")


def datagrams(port):
    one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.bind(("::", port))
    return one


def main(interface, ready):
    ears = selectors.DefaultSelector()
    tcp = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=200)
    udp = [datagrams(PORT)]
    for v4, v6, port in GROUPS:
        one = datagrams(port)
        index = socket.if_nametoindex(interface)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton(v4), bytes(4), index))
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, v6) + struct.pack("@I", index))
        udp.append(one)
    # A container runtime, where the test puts one.
    runtime = socket.socket(socket.AF_UNIX)
    runtime.bind("/run/runtime.sock")
    runtime.listen()
    for ear in [tcp, runtime, *udp]:
        ears.register(ear, selectors.EVENT_READ)
    pathlib.Path(ready).touch()
    while True:
        for key, _ in ears.select():
            if key.fileobj in udp:
                message, peer = key.fileobj.recvfrom(4096)
                try:
                    key.fileobj.sendto(dns_answer(message) or message, peer)
                except OSError:
                    pass  # Whoever asked is gone.
            elif key.fileobj in (tcp, runtime):
                connection, _ = key.fileobj.accept()
                ears.register(connection, selectors.EVENT_READ)
            else:
                try:
                    message = key.fileobj.recv(4096)
                    if message:
                        answer = dns_answer(message[2:])
                        key.fileobj.sendall(struct.pack(">H", len(answer)) + answer if answer else message)
                        continue
                except OSError:
                    pass
                ears.unregister(key.fileobj)
                key.fileobj.close()


main(*sys.argv[1:])
