"""The newest value wins, and what was thrown away is counted."""

import threading

from centernet_ros.ros.mailbox import Mailbox


def test_newest_wins_and_drops_are_counted():
    mailbox = Mailbox()
    for value in (1, 2, 3):
        mailbox.put(value)
    assert mailbox.take() == 3
    mailbox.put(4)
    assert mailbox.take() == 4
    assert (mailbox.received, mailbox.dropped) == (4, 2)


def test_closing_wakes_the_reader_and_hands_out_nothing_more():
    mailbox = Mailbox()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take()))
    reader.start()
    mailbox.close()
    reader.join(10)
    mailbox.put(1)
    assert [*taken, mailbox.take()] == [None, None]


def test_everything_is_taken_or_counted_under_load():
    mailbox = Mailbox()
    taken = []

    def read():
        while (value := mailbox.take()) is not None:
            taken.append(value)

    reader = threading.Thread(target=read)
    reader.start()
    for value in range(1, 20001):
        mailbox.put(value)
    while mailbox.received - mailbox.dropped != len(taken):
        pass
    mailbox.close()
    reader.join(10)
    assert taken == sorted(taken)
    assert taken[-1] == 20000
    assert len(taken) + mailbox.dropped == mailbox.received == 20000
