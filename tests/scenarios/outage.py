"""What was measured while nobody could be reached."""

import time


def utc():
    """Now, as readings say when they were taken."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"


def taken_between(watch, device, began, ended):
    """Readings of a device that its owner has by now and that were taken between these times, in the order in which they came."""
    return [reading for record in watch.records("readings", device) for reading in record["readings"] if began < reading["taken"] < ended]
