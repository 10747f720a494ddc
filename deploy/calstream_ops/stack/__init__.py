"""The stack on one machine: the embedded broker, the processes on top of it, their supervisor."""

from calstream_ops.stack.broker import EmbeddedBroker
from calstream_ops.stack.child import ChildSpec
from calstream_ops.stack.console import Console
from calstream_ops.stack.control import ProcessStatus, down, status, up, up_detached
from calstream_ops.stack.local import LocalStack, Plan
from calstream_ops.stack.supervisor import Step, Supervisor

__all__ = [
    "ChildSpec",
    "Console",
    "EmbeddedBroker",
    "LocalStack",
    "Plan",
    "ProcessStatus",
    "Step",
    "Supervisor",
    "down",
    "status",
    "up",
    "up_detached",
]
