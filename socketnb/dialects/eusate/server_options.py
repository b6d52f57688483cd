"""The options and the faults of the simulated helpdesk."""

from __future__ import annotations

from socketnb.model.actions import Setting

OPTIONS: dict[str, Setting] = {
    "envelope": Setting("the name of the event sent after connecting; empty for none", default="connect_response"),
    "answers": Setting("how requests are answered", default="event", among=("event", "ack", "both")),
    "echo": Setting(
        "whether support_echo is sent before or after the reply, or never",
        default="before",
        among=("before", "after", "never"),
    ),
    "keep_missed": Setting("keep agents' messages for a disconnected customer", type=bool, default=True),
    "strict": Setting("send events only to links that have entered the room, as documented", type=bool, default=False),
    "replies": Setting(
        "how the steps of a turn are sent: as one message, or each as a message of its own",
        default="one",
        among=("one", "each"),
    ),
    "whole_seconds": Setting("send times without fractions of a second", type=bool, default=False),
    "agent_reply": Setting("the answer of an agent to each message; empty for none", default=""),
    "auto_close": Setting(
        "seconds without a message after which a conversation is closed; 0 for never", type=float, default=0.0
    ),
    "max_file_kb": Setting("the maximum size of a file in kB; 0 for no limit", type=float, default=0.0),
    "file_types": Setting("the accepted extensions of files, such as pdf,png; empty for all", default=""),
}
FAULTS = {
    "silent": "the next message is echoed but not answered",
    "lose_echo": "the next message is answered but not echoed",
    "mute": "requests are not answered from now on",
    "duplicate": "every broadcast is sent twice",
    "refuse": "every message is rejected",
}
