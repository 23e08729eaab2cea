#!/usr/bin/env python3
"""Whom a process is connected to, and where it listens: seen of this very process."""

import os
import socket
import unittest

import sockets


class SocketsTest(unittest.TestCase):
    def test_a_listener_is_a_door_and_no_peer(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertEqual(sockets.doors(os.getpid()), {"%s:%d" % listener.getsockname()})
            self.assertEqual(sockets.peers(os.getpid()), set())

    def test_whoever_is_called_is_a_peer_over_both_families_and_without_a_connection_too(self):
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as caller, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as mapped:
            port = listener.getsockname()[1]
            datagrams.connect(("127.0.0.1", 9))
            mapped.connect(("::ffff:127.0.0.1", port))
            found = sockets.peers(os.getpid())
            self.assertIn(("tcp", f"127.0.0.1:{port}"), found)
            self.assertIn(("tcp6", f"127.0.0.1:{port}"), found)
            self.assertIn(("udp", "127.0.0.1:9"), found)
            self.assertNotIn(("tcp", f"127.0.0.1:{caller.getsockname()[1] + 1}"), found)

    def test_any_socket_is_one_also_without_a_peer_or_a_door(self):
        self.assertTrue(sockets.has_none(os.getpid()))
        for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_STREAM)):
            with socket.socket(family, kind):
                self.assertFalse(sockets.has_none(os.getpid()))
        self.assertTrue(sockets.has_none(os.getpid()))

    def test_other_processes_sockets_are_not_its_own(self):
        with socket.create_server(("127.0.0.1", 0)):
            self.assertEqual(sockets.doors(os.getppid()) & sockets.doors(os.getpid()), set())


if __name__ == "__main__":
    unittest.main()
