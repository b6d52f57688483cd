"""Every format of the vendor's reference: steps of a flow, outputs, and actions, written and read back."""

import json
from typing import Any

import pytest

from socketnb.dialects.base import Facts
from socketnb.dialects.cognigy import DIALECT
from socketnb.dialects.cognigy.actions import input_fields, user_input
from socketnb.dialects.cognigy.outputs import parse_output, sender_of
from socketnb.dialects.cognigy.parsed import words
from socketnb.dialects.cognigy.shapes import FORMATS, shape
from socketnb.dialects.messages import buttons
from socketnb.model.actions import Action
from socketnb.model.content import (
    AdaptiveCard,
    AgentSays,
    Card,
    Cards,
    Choice,
    Choices,
    Custom,
    DatePicker,
    Delta,
    Handover,
    Media,
    Queue,
    RatingRequest,
    Step,
    Text,
    UserInput,
)


def press(payload: str) -> dict[str, Any]:
    return {"text": payload, "data": None}


YES, NO = Choice("Yes", press("yes-payload")), Choice("No", press("No"))
PAGE, PHONE = Choice("Site", url="https://example.org"), Choice("Call", url="tel:+491")
BOTTLE = Card("Bottle", "24 hours cold", "https://example.org/b.png", (YES, PAGE))
COVER = Card("Cover", "fits")
FORM = {
    "type": "AdaptiveCard",
    "body": [
        {"type": "TextBlock", "text": "Your order"},
        {"type": "Input.Text", "id": "name", "label": "Name", "value": "Ana"},
        {
            "type": "ColumnSet",
            "columns": [{"items": [{"type": "FactSet", "facts": [{"title": "Size", "value": "L"}]}]}],
        },
    ],
    "actions": [
        {"type": "Action.Submit", "title": "Send", "data": {"form": "order"}},
        {"type": "Action.OpenUrl", "title": "Terms", "url": "https://example.org/terms"},
    ],
}
FORM_SENT = {"form": "order", "name": "Ana"}
FORM_OPTIONS = (
    Choice("Send", {"text": "", "data": {"adaptivecards": FORM_SENT, "request": {"value": FORM_SENT}}}),
    Choice("Terms", url="https://example.org/terms"),
)
DATE = {"eventName": "Your visit", "locale": "de", "mode": "single", "minDate": "today"}

# Step of a flow, kind of its trace, and the content that is read back (None: the step itself).
STEPS: dict[str, tuple[Step, str, Any]] = {
    "text": (Text("Hello"), "text", None),
    "an agent's text": (AgentSays("I am Ada"), "text", Text("I am Ada")),
    "an agent's file": (
        AgentSays("", {"fileName": "a.pdf", "url": "https://x.org/a"}),
        "file",
        Media("file", "https://x.org/a", "a.pdf"),
    ),
    "quick replies": (Choices((YES, NO), "Well?"), "choices", None),
    "text with buttons": (Choices((YES, PAGE, PHONE), "Well?"), "choices", None),
    "gallery": (Cards((BOTTLE, COVER)), "carousel", None),
    "a card": (BOTTLE, "carousel", Cards((BOTTLE,))),
    "list": (Cards((BOTTLE, Card("Cover", "fits", url="https://example.org/c")), "list", options=(NO,)), "list", None),
    "image": (Media("image", "https://example.org/i.png", "A hill"), "image", None),
    "image to download": (Media("image", "https://example.org/i.png", "A hill", options=(PAGE,)), "image", None),
    "audio": (Media("audio", "https://example.org/a.mp3", "A bell"), "audio", None),
    "video": (Media("video", "https://example.org/v.mp4", "A tour"), "video", None),
    "adaptive card": (
        Custom("adaptive card", FORM),
        "adaptive",
        AdaptiveCard(FORM, FORM_OPTIONS, "Your order\nName\nSize L"),
    ),
}


@pytest.mark.parametrize("channel", FORMATS.values())
@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_read_back_as_the_same_content(name: str, channel: str) -> None:
    step, kind, content = STEPS[name]
    message = shape(step, channel)
    assert message is not None
    output = parse_output(message)
    assert (output.kind, output.content) == (kind, content or step)
    assert output.text is not None


def test_the_buttons_of_an_output_are_numbered_from_one() -> None:
    message: Any = shape(Choices((YES, PAGE)), "_default")
    sent = message["data"]["_cognigy"]["_default"]["_buttons"]["buttons"]
    assert [button["id"] for button in sent] == [1, 2]


def rich(channel: str, payload: Any) -> dict[str, Any]:
    return {"text": None, "data": {"_cognigy": {channel: payload}}}


def template(kind: str, **payload: Any) -> dict[str, Any]:
    return rich(
        "_webchat", {"message": {"attachment": {"type": "template", "payload": {"template_type": kind, **payload}}}}
    )


def plugin(kind: str, **more: Any) -> dict[str, Any]:
    return {"text": "", "data": {"_plugin": {"type": kind, **more}}}


REPLY = {"content_type": "text", "title": "Yes"}
FILE = {"runtimeFileId": "f1", "fileName": "a.pdf", "mimeType": "application/pdf", "size": 3, "url": "https://x.org/a"}
PHOTO = {"fileName": "b.png", "mimeType": "image/png", "url": "https://x.org/b"}

# Message of an endpoint, kind and text of its trace, and its content.
READ: dict[str, tuple[dict[str, Any], str, str | None, Any]] = {
    "a list of texts": ({"text": ["one", "two"]}, "text", "one\ntwo", Text("one\ntwo")),
    "a text in a channel": (rich("_webchat", {"message": {"text": "Hi"}}), "text", "Hi", Text("Hi")),
    "quick replies, as text": (
        rich("_webchat", {"message": {"text": "Well?", "quick_replies": [REPLY]}}),
        "choices",
        "Well?\n[Yes]",
        Choices((Choice("Yes", press("Yes")),), "Well?"),
    ),
    "an intent": (
        rich(
            "_default",
            {
                "_quickReplies": {
                    "text": "",
                    "quickReplies": [{"title": "Buy", "contentType": "trigger_intent", "intentName": "Order"}],
                }
            },
        ),
        "choices",
        "[Buy]",
        Choices((Choice("Buy", press("cIntent:Order")),)),
    ),
    "an app behind a button": (
        rich(
            "_default",
            {"_buttons": {"text": "", "buttons": [{"title": "Go", "type": "openXApp", "payload": "https://x.org"}]}},
        ),
        "choices",
        "[Go]",
        Choices((Choice("Go", url="https://x.org"),)),
    ),
    "no quick replies": (
        rich("_webchat", {"message": {"text": "Well?", "quick_replies": None}}),
        "text",
        "Well?",
        Text("Well?"),
    ),
    "cards without buttons": (
        template("generic", elements=[{"title": "A", "subtitle": None, "image_url": "undefined", "buttons": None}, 7]),
        "carousel",
        "A",
        Cards((Card("A"),)),
    ),
    "an untitled button": (
        template(
            "button", text="Well?", buttons=[{"title": "", "type": "postback", "payload": "x"}, REPLY | {"payload": ""}]
        ),
        "choices",
        "Well?\n[Yes]",
        Choices((Choice("Yes", press("Yes")),), "Well?"),
    ),
    "a button without a payload": (
        template("button", text="Well?", buttons=[{"title": "Dead", "type": "postback", "payload": ""}]),
        "choices",
        "Well?\n[Dead]",
        Choices((Choice("Dead"),), "Well?"),
    ),
    "no buttons at all": (template("button", text="Well?", buttons=None), "text", "Well?", Text("Well?")),
    "an empty gallery": (
        rich("_default", {"_gallery": {"items": [], "fallbackText": "Nothing on offer"}}),
        "text",
        "Nothing on offer",
        Text("Nothing on offer"),
    ),
    "the older nesting": (
        {"text": None, "data": {"_data": {"_cognigy": {"_default": {"_image": {"imageUrl": "https://x.org/i"}}}}}},
        "image",
        "",
        Media("image", "https://x.org/i"),
    ),
    "the nesting by a pointer": (
        rich("_webchat", {"_pointer": "_shop", "_shop": {"message": {"text": "Hi"}}}),
        "text",
        "Hi",
        Text("Hi"),
    ),
    "the channel before the default": (
        {
            "text": None,
            "data": {"_cognigy": {"_default": {"_image": {"imageUrl": "x"}}, "_webchat": {"message": {"text": "Hi"}}}},
        },
        "text",
        "Hi",
        Text("Hi"),
    ),
    "a preview": (rich("_defaultPreview", {"message": {"text": "Hi"}}), "text", "Hi", Text("Hi")),
    "a text beside a template": (
        {"text": "not shown", "data": template("list", elements=[{"title": "A"}])["data"]},
        "list",
        "A",
        Cards((Card("A"),), "list"),
    ),
    "a file": (
        {"text": "", "data": {"attachments": [FILE]}},
        "file",
        "a.pdf",
        Media("file", "https://x.org/a", "a.pdf"),
    ),
    "a photo": (
        {"text": "", "data": {"attachments": [PHOTO]}},
        "image",
        "b.png",
        Media("image", "https://x.org/b", "b.png"),
    ),
    "files with a text": (
        {"text": "Here", "data": {"attachments": [FILE, PHOTO]}},
        "file",
        "Here\na.pdf\nb.png",
        Cards(
            (Card("a.pdf", url="https://x.org/a"), Card("b.png", image="https://x.org/b", url="https://x.org/b")),
            "list",
            "Here",
        ),
    ),
    "an infected file": (
        {"text": "", "data": {"attachments": [FILE | {"status": "infected"}]}},
        "file",
        "a.pdf (infected)",
        Media("file", None, "a.pdf (infected)"),
    ),
    "files before a gallery": (
        {"text": "", "data": {**template("generic", elements=[{"title": "A"}])["data"], "attachments": [FILE]}},
        "file",
        "a.pdf",
        Media("file", "https://x.org/a", "a.pdf"),
    ),
    "date picker": (
        plugin("date-picker", data=DATE),
        "date_picker",
        "Your visit",
        DatePicker("Your visit", earliest="today", pattern="d.m.Y"),
    ),
    "adaptive card as a plugin": (
        plugin("adaptivecards", payload={"body": [{"type": "TextBlock", "text": "Hi"}]}),
        "adaptive",
        "Hi",
        AdaptiveCard({"body": [{"type": "TextBlock", "text": "Hi"}]}, text="Hi"),
    ),
    "x-app": (
        plugin("x-app", data={"url": "https://x.org/app"}),
        "custom",
        "x-app\n[Open]",
        Custom("x-app", {"url": "https://x.org/app"}, (Choice("Open", url="https://x.org/app"),)),
    ),
    "x-app submitted": (
        plugin("x-app-submit", data={"a": 1}),
        "custom",
        "x-app-submit",
        Custom("x-app-submit", {"a": 1}),
    ),
    "x-app overlay": (
        rich("_app", {"url": "https://x.org/app", "overlaySettings": {"screenTitle": "Seats"}}),
        "custom",
        "x-app\n[Seats]",
        Custom(
            "x-app",
            {"url": "https://x.org/app", "overlaySettings": {"screenTitle": "Seats"}},
            (Choice("Seats", url="https://x.org/app"),),
        ),
    ),
    "rating": (plugin("request-rating", data={}), "custom", "rating request", RatingRequest()),
    "an unknown plugin": (plugin("seats", data=[1]), "custom", "seats", Custom("seats", [1])),
    "queue": (
        rich("_webchat3", {"type": "queueUpdate", "payload": {"position": 2, "estimatedWaitTime": 180_000}}),
        "queue",
        "position 2 in the queue, about 3 min",
        None,
    ),
    "queue with an alternative text": (
        rich("_webchat3", {"type": "queueUpdate", "payload": {"alternativeText": "Soon"}}),
        "queue",
        "Soon",
        None,
    ),
    "live agent": (
        rich("_webchat3", {"type": "liveAgentEvent", "payload": {"action": "joined", "agentName": "Ada"}}),
        "handler",
        "Ada joined",
        None,
    ),
    "another event": (rich("_webchat3", {"type": "new", "payload": 1}), "custom", "new", Custom("new", 1)),
    "data alone": ({"text": "", "data": {"type": "hint"}}, "custom", None, Custom("data", {"type": "hint"})),
    "data alone, with objects": (
        {"text": "", "data": {"order": {"id": 4567}}},
        "custom",
        None,
        Custom("data", {"order": {"id": 4567}}),
    ),
    "a text without data": ({"text": "hi", "data": None}, "text", "hi", Text("hi")),
    "a default text": (rich("_default", {"_text": {"type": "text", "text": "Hi"}}), "text", "Hi", Text("Hi")),
    "a default text alone": (rich("_default", {"_text": "Hi"}), "text", "Hi", Text("Hi")),
    "speech": (
        {"text": '<speak>Hello <break time="1s"/>Bo &amp; <sub alias="Jay">J</sub></speak>'},
        "text",
        "Hello Bo & J",
        Text("Hello Bo & J"),
    ),
    "HTML": (
        {"text": "a <b>bold</b> move, 1 < 2"},
        "text",
        "a <b>bold</b> move, 1 < 2",
        Text("a <b>bold</b> move, 1 < 2"),
    ),
    "a voice command": (
        rich("_voiceGateway2", {"json": {"verb": "say", "text": ["<speak>Hi</speak>", "there"]}}),
        "text",
        "Hi there",
        Text("Hi there"),
    ),
    "a voice channel": (
        rich("_voiceGateway2", {"json": {"channelConfig": {"text": "Hi"}}}),
        "text",
        "Hi",
        Text("Hi"),
    ),
    "voice activities": (
        rich("_voiceGateway", {"json": {"activities": [{"type": "message", "text": "Hi"}]}}),
        "text",
        "Hi",
        Text("Hi"),
    ),
    "a voice session without words": (
        rich("_voiceGateway2", {"json": {"verb": "config"}}),
        "custom",
        None,
        Custom("data", {"_cognigy": {"_voiceGateway2": {"json": {"verb": "config"}}}}),
    ),
    "nothing": ({"text": "", "data": {}}, "status", "an empty output", None),
    "a piece of a stream": (
        {"text": "Once ", "data": {"_cognigy": {"_messageId": "m"}}},
        "delta",
        "Once ",
        Delta("m", "Once "),
    ),
    "the end of a stream": (
        {"text": "", "data": {"_cognigy": {"_messageId": "m", "_finishReason": "stop"}}},
        "delta",
        "",
        Delta("m", last=True),
    ),
    "the end of a stream with a text": (
        {"text": "time.", "data": {"_cognigy": {"_messageId": "m", "_finishReason": "stop"}}},
        "delta",
        "time.",
        Delta("m", "time.", last=True),
    ),
    "a piece of a stream with data": (
        {"text": "Once ", "data": {"_cognigy": {"_messageId": "m"}, "k": 1}},
        "delta",
        "Once ",
        Delta("m", "Once "),
    ),
    "a piece of a stream with buttons": (
        {
            "text": "Well?",
            "data": {
                "_cognigy": {
                    "_messageId": "m",
                    "_finishReason": "stop",
                    "_webchat": {"message": {"text": "Well?", "quick_replies": [REPLY]}},
                }
            },
        },
        "choices",
        "Well?\n[Yes]",
        Choices((Choice("Yes", press("Yes")),), "Well?"),
    ),
    "a message of an agent with the id of a stream": (
        {"text": "Hi", "source": "agent", "data": {"_cognigy": {"_messageId": "m"}}},
        "text",
        "Hi",
        Text("Hi"),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_message_of_an_endpoint_is_read(name: str) -> None:
    message, kind, text, content = READ[name]
    assert parse_output(message) == (kind, text, content)


@pytest.mark.parametrize(
    ("step", "kind", "text"),
    [
        (Queue(2, 30), "queue", "position 2 in the queue, about 30 s"),
        (Handover("Ada"), "handler", "Ada has joined"),
        (Handover(), "handler", "the agent has left"),
    ],
)
def test_an_event_of_a_handover_is_not_a_message(step: Step, kind: str, text: str) -> None:
    message = shape(step, "_default")
    assert message is not None
    assert parse_output(message) == (kind, text, None)


@pytest.mark.parametrize(
    ("source", "sender"),
    [(None, "bot"), ("bot", "bot"), ("agent", "agent"), ("user", "user"), ("engagement", "bot"), ([], "bot")],
)
def test_the_source_of_a_message_is_its_sender(source: Any, sender: str) -> None:
    assert sender_of({"text": "hi", "source": source}) == sender


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ({"text": "hi", "data": {}}, None),
        ({"text": "hi", "data": None}, None),
        ({"text": "hi"}, None),
        ({"text": "hi", "data": {"order": {"id": 4567}}}, {"order": {"id": 4567}}),
        ({"text": "hi", "data": [1]}, [1]),
        ({"text": "", "data": {"_cognigy": {}, "_plugin": {}, "_webchat": {}, "_data": {}, "attachments": []}}, None),
        ({"text": "", "data": {"_cognigy": {"_default": {}}, "type": "quickReplies"}}, {"type": "quickReplies"}),
    ],
)
def test_the_data_of_an_output_is_what_is_not_its_content(message: dict[str, Any], data: Any) -> None:
    assert DIALECT.data("output", {"type": "output", "data": message}) == data


def test_other_events_have_no_data() -> None:
    for event, payload in [
        ("output", {"type": "finalPing", "data": {"type": "regular"}}),
        ("finalPing", {}),
        ("x", None),
    ]:
        assert DIALECT.data(event, payload) is None
        assert DIALECT.facts(event, payload) is None


@pytest.mark.parametrize(
    ("message", "facts"),
    [
        (shape(Handover("Ada"), "_default"), Facts(handler="agent", agent="Ada")),
        (shape(Handover(), "_default"), Facts(handler="bot")),
        ({"text": "hi", "source": "agent"}, Facts(handler="agent")),
        ({"text": "hi"}, None),
    ],
)
def test_a_handover_reports_who_handles_the_conversation(message: Any, facts: Facts | None) -> None:
    assert DIALECT.facts("output", {"type": "output", "data": message}) == facts


def test_a_rating_of_the_user_is_reported() -> None:
    payload = input_fields(Action("rate", {"rating": 5}), {})
    assert DIALECT.facts("processInput", json.loads(json.dumps(payload))) == Facts(rating=5.0)
    assert DIALECT.facts("processInput", {"text": "hi"}) is None


CARD = {**FORM, "actions": [*FORM["actions"], {"type": "Action.Submit", "title": "Cancel", "data": {"form": "none"}}]}  # type: ignore[misc]

# Action, the input that Webchat sends for it, and what is read back from the input.
ACTIONS: dict[str, tuple[Action, dict[str, Any], UserInput]] = {
    "text": (Action("text", {"text": "hi"}), {"resetFlow": False, "text": "hi"}, UserInput("text", "hi")),
    "text with data": (
        Action("text", {"text": "hi", "data": {"k": 1}}),
        {"resetFlow": False, "text": "hi", "data": {"k": 1}},
        UserInput("data", "hi", {"k": 1}),
    ),
    "launch with a text and data": (
        Action("launch", {"text": "Hi", "data": {"k": 1}}),
        {"resetFlow": False, "text": "Hi", "data": {"k": 1}},
        UserInput("data", "Hi", {"k": 1}),
    ),
    "reset with data": (
        Action("reset", {"data": {"k": 1}}),
        {"resetFlow": True, "data": {"k": 1}},
        UserInput("reset", "", {"k": 1}),
    ),
    "press": (
        Action("press", {"choice": YES}),
        {"resetFlow": False, "text": "yes-payload", "data": None},
        UserInput("text", "yes-payload"),
    ),
    "launch": (Action("launch"), {"resetFlow": False, "text": "GET_STARTED", "data": None}, UserInput("launch")),
    "reset": (Action("reset"), {"resetFlow": True}, UserInput("reset")),
    "reset with a text": (Action("reset", {"text": "hi"}), {"resetFlow": True, "text": "hi"}, UserInput("reset", "hi")),
    "data alone": (
        Action("data", {"data": {"key": 1}}),
        {"resetFlow": False, "text": "", "data": {"key": 1}},
        UserInput("data", "", {"key": 1}),
    ),
    "data with a text": (
        Action("data", {"data": {"key": 1}, "text": "hi"}),
        {"resetFlow": False, "text": "hi", "data": {"key": 1}},
        UserInput("data", "hi", {"key": 1}),
    ),
    "submit": (
        Action("submit", {"values": {"name": "Bo"}}),
        {
            "resetFlow": False,
            "text": "",
            "data": {
                "adaptivecards": {"form": "order", "name": "Bo"},
                "request": {"value": {"form": "order", "name": "Bo"}},
            },
        },
        UserInput(
            "submit",
            "form: order, name: Bo",
            {"adaptivecards": {"form": "order", "name": "Bo"}, "request": {"value": {"form": "order", "name": "Bo"}}},
        ),
    ),
    "date": (
        Action("date", {"date": "24.12.2026"}),
        {"resetFlow": False, "text": "24.12.2026", "data": None},
        UserInput("text", "24.12.2026"),
    ),
    "rate": (
        Action("rate", {"rating": 5, "comment": "nice"}),
        {
            "resetFlow": False,
            "text": "",
            "data": {
                "_cognigy": {"controlCommands": [{"type": "setRating", "parameters": {"rating": 5, "comment": "nice"}}]}
            },
        },
        UserInput(
            "rate",
            "5 nice",
            {"_cognigy": {"controlCommands": [{"type": "setRating", "parameters": {"rating": 5, "comment": "nice"}}]}},
        ),
    ),
    "accept_privacy": (
        Action("accept_privacy"),
        {"resetFlow": False, "text": "", "data": {"_cognigy": {"controlCommands": [{"type": "acceptPrivacyPolicy"}]}}},
        UserInput("accept_privacy", "", {"_cognigy": {"controlCommands": [{"type": "acceptPrivacyPolicy"}]}}),
    ),
    "upload": (
        Action("upload", {"attachment": {"fileName": "a.pdf"}}),
        {"resetFlow": False, "text": "", "data": {"attachments": [{"fileName": "a.pdf"}]}},
        UserInput("upload", "a.pdf", {"attachments": [{"fileName": "a.pdf"}]}),
    ),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_sent_as_webchat_sends_it_and_read_back(name: str) -> None:
    action, expected, user = ACTIONS[name]
    inputs = input_fields(action, CARD)
    assert inputs == expected
    assert list(inputs) == list(expected), "the order of the keys"
    assert user_input(inputs) == user


def test_another_button_of_a_card_sends_its_own_data() -> None:
    inputs = input_fields(Action("submit", {"values": {}, "title": "Cancel"}), CARD)
    assert inputs["data"]["adaptivecards"] == {"form": "none", "name": "Ana"}


def test_the_submit_button_of_a_card_can_be_pressed() -> None:
    output = parse_output(rich("_webchat", {"adaptiveCard": FORM}))
    (submit,) = buttons(output.content)
    assert input_fields(Action("press", {"choice": submit}), {})["data"]["request"] == {"value": FORM_SENT}


def test_a_card_that_is_nested_too_deeply_is_custom_data() -> None:
    deep: dict[str, Any] = {"type": "TextBlock", "text": "bottom"}
    for _ in range(5000):
        deep = {"type": "Container", "items": [deep]}
    assert parse_output(rich("_webchat", {"adaptiveCard": {"body": [deep]}})).kind == "custom"


def test_a_waiting_time_that_is_too_large_to_compute_is_custom_data() -> None:
    payload = {"position": 1, "estimatedWaitTime": 10**400}
    assert parse_output(rich("_webchat3", {"type": "queueUpdate", "payload": payload})).kind == "custom"


# Settings of the plugin `date-picker` and the expected result of parsing them.
PICKERS: list[tuple[dict[str, Any], DatePicker]] = [
    ({}, DatePicker()),
    ({"minDate": "today", "maxDate": "tomorrow"}, DatePicker(earliest="today", latest="tomorrow")),
    ({"defaultDate": "2026-12-24T18:30:00.000Z"}, DatePicker(value="2026-12-24")),
    (
        {"enableTime": "true", "minDate": "2026-12-24T18:30", "defaultDate": "2026-12-25"},
        DatePicker(unit="datetime", earliest="2026-12-24T18:30", value="2026-12-25T00:00", pattern="Y-m-d H:i"),
    ),
    ({"noCalendar": True, "enableTime": True, "minDate": "today"}, DatePicker(unit="time", pattern="H:i")),
    ({"noCalendar": True, "maxDate": "2026-12-24"}, DatePicker(unit="time", pattern="H:i")),
    ({"minDate": "soon", "enableTime": False}, DatePicker()),
    ({"locale": "us"}, DatePicker(pattern="m/d/Y")),
    ({"locale": "gb", "mode": "range"}, DatePicker(mode="range", pattern="d/m/Y")),
    ({"locale": "au", "mode": "multiple"}, DatePicker(mode="multiple", pattern="d/m/Y")),
    ({"locale": "de", "enableTime": True}, DatePicker(unit="datetime", pattern="d.m.Y H:i")),
    ({"locale": "de", "enableTime": True, "dateFormat": "D, d M y"}, DatePicker(unit="datetime", pattern="D, d M y")),
    ({"mode": ["range"], "locale": {}, "dateFormat": 1}, DatePicker()),
    ({"openPickerButtonText": "Pick", "submitButtonText": "Book"}, DatePicker("Pick", submit="Book")),
    ({"openPickerButtonText": "Pick", "eventName": "Visit"}, DatePicker("Visit")),
]


@pytest.mark.parametrize(("data", "picker"), PICKERS)
def test_a_date_picker_is_read_from_the_settings_of_the_plugin(data: dict[str, Any], picker: DatePicker) -> None:
    output = parse_output(plugin("date-picker", data=data))
    assert (output.kind, output.content) == ("date_picker", picker)
    assert output.text == (picker.label or "date picker")


def test_the_text_beside_a_date_picker_is_its_text() -> None:
    output = parse_output(
        {"text": "When?", "data": {"_plugin": {"type": "date-picker", "data": {"eventName": "Visit"}}}}
    )
    assert (output.text, output.content) == ("When?", DatePicker("Visit", text="When?"))


CONTENTS: list[tuple[Any, str]] = [
    (Card("Bottle", "cold", options=(Choice("Buy"),)), "Bottle\ncold\n[Buy]"),
    (RatingRequest("Well?"), "Well?"),
    (Custom("seats", text="Seats", options=(Choice("A"), Choice("B"))), "Seats\n[A] [B]"),
    (UserInput("text", "hi"), "hi"),
]


@pytest.mark.parametrize(("content", "text"), CONTENTS)
def test_the_words_of_a_content_are_its_texts_and_its_buttons(content: Any, text: str) -> None:
    assert words(content) == text
