"""An app's console as a page: the answers to looks at it while it is used and when it is left, and how it ended."""

import http.client
import time


class Session:
    """Used for half as long again as `idle` (seconds), then only looked at until it ends, at most four times `idle`."""

    def __init__(self, run, name, idle):
        app = run.wired.apps[name]
        url = run.stack.path(f"{name}-url")
        self.process = run.stack.start(f"{name}-page", "keystead-mobile-stub", *app.arguments(), "serve", "--idle", idle, "--url-out", url,
                                       "--no-events", place=app.place)
        self.token = open(url, encoding="ascii").read().strip().partition("#token=")[2]  # pylint: disable=consider-using-with
        self.ask = lambda method, path: run.wired.within(name, lambda: self._ask(method, path))
        started = time.monotonic()
        self.used = []
        while time.monotonic() - started < 1.5 * idle:
            self.used.append((self.ask("POST", "/api/v1/use"), self.ask("GET", "/api/v1/home")))
            time.sleep(0.3)
        left, self.looked = time.monotonic(), []
        while not self.process.ended() and time.monotonic() - left < 4 * idle:
            self.looked.append(self.ask("GET", "/api/v1/home"))
            time.sleep(0.3)
        self.after = time.monotonic() - left

    def _ask(self, method, path):
        """The status of the answer; 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.process.port("console"), timeout=5)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {self.token}"})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()
