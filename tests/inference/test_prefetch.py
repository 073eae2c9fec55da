"""Reading ahead: the same items, the same errors, and no thread left."""

import itertools
import threading

import pytest

from ppl_gen.inference.prefetch import ahead


def threads():
    return [thread for thread in threading.enumerate() if "ppl-gen" in thread.name]


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_the_same_items_in_the_same_order(depth):
    assert list(ahead(iter(range(100)), depth)) == list(range(100))
    assert list(ahead(iter([]), depth)) == []
    assert not threads()


@pytest.mark.parametrize("depth", [1, 3])
def test_it_reads_ahead_in_a_thread_and_no_further_than_asked(depth):
    read, enough = [], threading.Event()

    def items():
        for i in itertools.count():
            read.append((i, threading.current_thread()))
            if i == depth:
                enough.set()
            yield i

    found = ahead(items(), depth)
    assert next(found) == 0
    assert enough.wait(60)  # nobody asked for these
    assert read[0][1] is not threading.main_thread()
    assert next(found) == 1
    found.close()
    assert not threads()
    assert len(read) <= depth + 5


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_errors_come_where_their_item_was_due(depth):
    def items():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    found = ahead(items(), depth)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(found)
    assert not threads()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_no_thread_is_left_behind_by_an_error_of_the_user(error):
    found = ahead(itertools.count(), 2)
    next(found)
    with pytest.raises(error):
        found.throw(error())
    assert not threads()
    del found
    unfinished = ahead(itertools.count(), 2)
    next(unfinished)
    del unfinished  # forgotten half-way
    assert not threads()
