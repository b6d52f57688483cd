"""The demo bot: the support desk of a small outdoor shop."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from urllib.parse import quote

from socketnb.dialects.base import DEFAULT_ENCODING
from socketnb.dialects.sound import tone, wav
from socketnb.flows.flow import Flow, FlowTurn, card
from socketnb.model.json import JsonObject

ORDERS = {
    "4567": "left our warehouse yesterday and arrives **Tuesday before noon**",
    "4568": "is being packed and leaves us **tonight**",
    "4569": "was delivered on **Friday at 14:20**; your neighbour signed for it",
}
MENU = ("Track order", "Return an item", "Opening hours", "Show me around", "Talk to a person")
GOODS = {
    "Trail bottle": "Keeps cold for 24 hours · €24",
    "Rain cover": "Fits your backpack · €18",
    "Head lamp": "350 lumen · €32",
}
FORM: JsonObject = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "body": [
        {"type": "TextBlock", "text": "Stay in touch", "weight": "Bolder"},
        {"type": "Input.Text", "id": "name", "label": "Your name", "value": "Ana"},
    ],
    "actions": [{"type": "Action.Submit", "title": "Sign up", "data": {"list": "news"}}],
}
CHIME_S = 0.3
"""Seconds that the doorbell sounds."""
THANKS = {
    "submit": "Thank you, you are on our list.",
    "rate": "Thank you for rating us.",
    "upload": "Got it, thank you.",
}


@cache
def chime() -> str:
    """Return a sound as a data URL. It is generated when it is first played."""
    return "data:audio/wav;base64," + base64.b64encode(wav(DEFAULT_ENCODING, tone(DEFAULT_ENCODING, CHIME_S))).decode()


def picture(hue: int) -> str:
    """Return a small picture as a data URL."""
    hill, sky = f"hsl({hue},35%,45%)", f"hsl({hue},45%,72%)"
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='320' height='120'>"
        f"<rect width='320' height='120' fill='{sky}'/><path d='M0 120 90 40l60 50 50-30 120 60z' fill='{hill}'/></svg>"
    )
    return "data:image/svg+xml," + quote(svg)


def film() -> str:
    """Return a one-second video of a sunrise as a data URL."""
    data = Path(__file__).with_name("sunrise.webm").read_bytes()
    return "data:video/webm;base64," + base64.b64encode(data).decode()


def demo_flow() -> Flow:  # noqa: PLR0915 (many short handlers)
    """Return the demo bot."""
    flow = Flow("demo shop")

    @flow.launch
    def welcome(turn: FlowTurn) -> None:
        turn.vars.pop("order", None)
        turn.say("Welcome to **Trailhead**, your outdoor shop. What can I do for you?")
        turn.choices(*MENU)

    @flow.on("Track order", "Where is my order?", "track", "status")
    async def track_order(turn: FlowTurn) -> None:
        number = (await turn.ask("Gladly. What is your order number? (Try `4567`.)")).strip(" #")
        turn.vars["order"] = number
        if number in ORDERS:
            turn.say(f"Order `#{number}` {ORDERS[number]}.")
        else:
            turn.say(f"I cannot find an order `#{number}`. It is in the subject of your confirmation mail.")
        turn.choices(*MENU, "That was all")

    @flow.on("Return an item", "return", "refund")
    async def return_item(turn: FlowTurn) -> None:
        reason = await turn.ask(
            "No problem, you have 30 days. Why do you want to return it?",
            choices=["Too small", "Too large", "Damaged", "Changed my mind"],
        )
        if reason == "Damaged":
            turn.say("I am sorry about that. We send a new one today; you need not send anything back.")
        else:
            size = {"Too small": " The next size up is in stock.", "Too large": " The next size down is in stock."}
            turn.say(f"Your return label is in your inbox.{size.get(reason, '')}")
        turn.choices(*MENU, "That was all")

    @flow.on("Opening hours", "hours", "open")
    def opening_hours(turn: FlowTurn) -> None:
        turn.say("We are here:\n\n- Monday to Friday, 9 to 18\n- Saturday, 10 to 14")
        turn.choices(*MENU)

    @flow.on("Show me around", "tour")
    def show_around(turn: FlowTurn) -> None:
        turn.stream(["Here is ", "what I ", "can sh", "ow you: ", "**all of it**", "."])
        turn.card("Bestseller", "The *Trail bottle*.", image=picture(210), choices=["Track order"])
        turn.carousel(*(card(name, text, image=picture(90 + 40 * n)) for n, (name, text) in enumerate(GOODS.items())))
        turn.list(*(card(name, text) for name, text in GOODS.items()))
        turn.image(picture(150), "Our shop in the hills")
        turn.audio(chime(), "Our doorbell")
        turn.audio(chime())
        turn.video(film(), "Sunrise at our shop")
        turn.file("https://example.org/price-list.pdf", "Price list.pdf")
        turn.custom("date-picker", {"eventName": "Book a fitting", "mode": "single", "minDate": "today"})
        turn.custom("adaptive card", FORM)
        turn.custom("show_map", {"lat": 47.4, "lon": 10.9}, paths=["done"])
        turn.choices(*MENU, "That was all")

    @flow.on("Talk to a person", "agent", "human", "person")
    def talk_to_a_person(turn: FlowTurn) -> None:
        turn.say("I am handing you over to my colleague.")
        turn.queue(1, 30)
        turn.handover("Ada", "Hello, this is Ada. What can I do for you?")

    @flow.on("done")
    def map_shown(turn: FlowTurn) -> None:
        turn.say("You have found us.")

    @flow.on("That was all", "bye", "thanks", "thank you")
    def goodbye(turn: FlowTurn) -> None:
        turn.say("Glad to help. See you on the trail!")
        turn.end()

    @flow.otherwise
    def no_match(turn: FlowTurn) -> None:
        turn.say(THANKS.get(turn.verb, "I did not understand that. I can help with these:"))
        turn.choices(*MENU)

    return flow
