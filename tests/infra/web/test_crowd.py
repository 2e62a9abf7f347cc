"""How many sockets there is room for."""

import pytest

from infra.web.crowd import Crowd, Pace, TooMany


def test_a_process_has_room_for_so_many_sockets() -> None:
    crowd = Crowd(most=2)
    with crowd.place(), crowd.place(), pytest.raises(TooMany), crowd.place():
        pass
    with crowd.place():
        assert crowd.refused == 1


def test_one_viewer_has_so_many_of_them_and_leaving_frees_them() -> None:
    crowd = Crowd(most_of_one=1)
    with crowd.place() as first:
        first.belongs_to("user:1")
        first.belongs_to("user:1")
        with crowd.place() as second:
            with pytest.raises(TooMany):
                second.belongs_to("user:1")
            second.belongs_to("user:2")
    with crowd.place() as third:
        third.belongs_to("user:1")


def test_a_socket_may_send_so_many_messages_in_a_minute() -> None:
    pace = Pace(most=3)
    assert [pace.too_fast() for _ in range(5)] == [False, False, False, True, True]
