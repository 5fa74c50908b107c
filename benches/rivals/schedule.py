"""What is left to be done, and how long that takes."""

import time


class Schedule:
    """Things to do in turn, each with the seconds that it is thought to take. Thoughts are mended
    by what the things before it took."""

    def __init__(self, things):
        self.things, self.began = things, time.monotonic()

    def __iter__(self):
        done = 0
        for place, (thing, seconds) in enumerate(self.things):
            left = sum(seconds for _, seconds in self.things[place:])
            slow = self.minutes() * 60 / done if done else 1
            yield thing, (f"[{place + 1}/{len(self.things)}, {self.minutes():.0f} min, about "
                          f"{left * slow / 60:.0f} min left]")
            done += seconds

    def minutes(self):
        """How long it has been going on."""
        return (time.monotonic() - self.began) / 60
