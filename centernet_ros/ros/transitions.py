"""Requests of a lifecycle manager that do not fit the node's state are refused, and harm nobody."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode


def refuse_unknown_transitions(node: LifecycleNode) -> None:
    """Have the service `~/change_state` answer that a transition failed which the state lacks.

    rclpy up to Jazzy raises an error through the executor instead, and the node ends
    (ros2/rclpy#1209): as when a manager configures a node that has configured itself.
    """
    service = getattr(node, "_service_change_state", None)
    if service is None:  # a later rclpy, which answers so by itself
        return
    answer = service.callback

    def change_state(request: Any, response: Any) -> Any:
        machine, transition = node._state_machine, request.transition
        known = {number for number, *_ in machine.available_transitions}
        if transition.label or transition.id in known:
            return answer(request, response)
        node.get_logger().warning(
            f"transition {transition.id} refused: the node is {machine.current_state[1]}"
        )
        response.success = False
        return response

    service.callback = change_state
