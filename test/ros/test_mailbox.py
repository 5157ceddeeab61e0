"""The newest value of each sender wins, and nothing is lost unnoticed."""

import threading

from centernet_ros.ros.mailbox import Mailbox


def test_the_newest_of_each_sender_wins():
    mailbox = Mailbox()
    assert [mailbox.put("front", value) for value in (1, 2, 3)] == [False, True, True]
    assert mailbox.put("rear", 10) is False
    assert mailbox.take() == {"front": 3, "rear": 10}
    assert mailbox.put("front", 4) is False
    assert mailbox.take() == {"front": 4}, "nobody waits for the rear camera"


def test_who_has_waited_longest_comes_first():
    mailbox = Mailbox()
    for sender in ("front", "rear", "front"):
        mailbox.put(sender, sender)
    assert list(mailbox.take()) == ["rear", "front"]


def test_closing_wakes_the_reader_and_hands_out_nothing_more():
    mailbox = Mailbox()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take()))
    reader.start()
    mailbox.close()
    reader.join(10)
    mailbox.put("front", 1)
    assert [*taken, mailbox.take()] == [None, None]


def test_everything_is_taken_or_replaced_under_load():
    mailbox = Mailbox()
    taken = {"front": [], "rear": []}

    def read():
        while (values := mailbox.take()) is not None:
            for sender, value in values.items():
                taken[sender].append(value)

    reader = threading.Thread(target=read)
    reader.start()
    replaced = {"front": 0, "rear": 0}
    for value in range(1, 20001):
        for sender in replaced:
            replaced[sender] += mailbox.put(sender, value)
    while any(len(taken[sender]) + replaced[sender] < 20000 for sender in taken):
        pass
    mailbox.close()
    reader.join(10)
    for sender, values in taken.items():
        assert values == sorted(values)
        assert values[-1] == 20000
        assert len(values) + replaced[sender] == 20000
