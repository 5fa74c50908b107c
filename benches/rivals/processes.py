"""Processes: run to their end or for some turns, each with a time limit, and stopped for good."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time


# What a kept process prints once it is warm.
READY = "ready"


class Unavailable(Exception):
    """Why a contestant cannot take part."""


def say(text):
    """Progress, to whoever watches."""
    print(f"rivals: {text}", file=sys.stderr, flush=True)


def begin(command, **options):
    """Starts a command in a process group of its own, so that nothing else is hit with it."""
    try:
        return subprocess.Popen(command, start_new_session=True, text=True, **options)
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error.strerror}") from None


def end(process):
    """Kills a process and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def last_words(text):
    """The end of what a process said before it failed."""
    lines = [line for line in text.splitlines() if line.strip()][-8:]
    return " / ".join(lines)[-600:]


def call(command, most, stdout=subprocess.PIPE, **options):
    """Runs a command to its end, or kills it and what it started; returns what it printed."""
    process = begin(command, stdout=stdout, stderr=subprocess.PIPE, **options)
    try:
        out, err = process.communicate(timeout=most)
    except BaseException as error:
        end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise Unavailable(f"not done after {most:.0f} s, killed") from None
        raise
    if process.returncode != 0:
        raise Unavailable(f"exit status {process.returncode}: {last_words(err or out or '')}")
    return out


def found_in(out):
    """The line of JSON among what a contestant printed."""
    lines = [line for line in out.splitlines() if line.startswith("{")]
    try:
        return json.loads(lines[-1]) if lines else {"left_out": "it printed nothing"}
    except ValueError:
        raise Unavailable(f"it printed what is no JSON: {lines[-1][:200]}") from None


class Anew:
    """Turns of a program that starts quickly: a process for each."""

    def __init__(self, command, most):
        self.command, self.most = command, most

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def turn(self):
        return found_in(call(self.command, self.most))


class Kept:
    """Turns of a program that takes long to start and to warm up: one process for all of them. It
    says when it is warm, and takes a turn for each line it is given. While others have their turn
    it is stopped, so that it takes no time of theirs."""

    def __init__(self, command, most):
        self.command, self.most = command, most

    def __enter__(self):
        self.rest, self.errors = b"", tempfile.TemporaryFile(mode="w+")
        self.process = begin(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=self.errors)
        try:
            # That it is ready; or why it cannot be, which its first turn then says.
            self.first = self.line()
            self.signal(signal.SIGSTOP)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self.process)
        self.errors.close()

    def turn(self):
        if self.first != READY:
            return found_in(self.first)
        self.signal(signal.SIGCONT)
        try:
            os.write(self.process.stdin.fileno(), b"\n")
            return found_in(self.line())
        except BrokenPipeError:
            raise Unavailable(f"it ended: {self.said()}") from None
        finally:
            self.signal(signal.SIGSTOP)

    def signal(self, number):
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def line(self):
        """The next line that is for us; libraries print, too."""
        fd, until = self.process.stdout.fileno(), time.monotonic() + self.most
        while True:
            line, found, rest = self.rest.partition(b"\n")
            if found:
                self.rest, text = rest, line.decode(errors="replace").strip()
                if text == READY or text.startswith("{"):
                    return text
                continue
            left = until - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Unavailable(f"not done after {self.most:.0f} s, killed")
            more = os.read(fd, 1 << 16)
            if not more:
                raise Unavailable(f"it ended: {self.said()}")
            self.rest += more

    def said(self):
        """The end of what it complained about."""
        self.process.wait()
        self.errors.seek(0)
        return last_words(self.errors.read())
