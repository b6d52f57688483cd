"""Profiles and where settings come from, credentials never shown."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Cells

from socketnb.errors import SettingsError
from socketnb.hub import Hub
from socketnb.simulator.server import Simulator

KEY = "planted-key-0123456789"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file of profiles beside the notebook, or into the user's folder."""
    beside = tmp_path / "notebook"
    beside.mkdir()
    monkeypatch.chdir(beside)

    def written(text: str, folder: Path = beside, mode: int = 0o600) -> Path:
        folder.mkdir(exist_ok=True)
        file = folder / "profiles.toml"
        file.write_text(text)
        file.chmod(mode)
        return file

    return written


@pytest.fixture
def desk(hub: Hub) -> Simulator:
    """A helpdesk that asks for the planted key."""
    return hub.simulate("eusate", token=KEY)


def test_a_bot_is_opened_by_its_profiles_name(hub: Hub, write: Write, desk: Simulator) -> None:
    write(f'[help]\nplatform = "eusate"\nurl = "{desk.url}"\napi_key = "{KEY}"\n')
    for how in ({"platform": "help"}, {"profile": "help"}, {"platform": "eusate", "profile": "help"}):
        with hub.connect(**how) as session:
            assert (session.name, session.platform, session.state) == ("help", "eusate", "ready")
        assert KEY not in repr(session)
    assert KEY not in hub.traces_df().to_string()


def test_the_profiles_variable_comes_first_then_the_profile_then_the_platforms_variable(
    hub: Hub, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[my-bot]\nplatform = "voiceflow"\nproject_id = "of the profile"\n')

    def used() -> str:
        table = hub.profiles().set_index("setting")
        return str(table.loc["project_id", "value"])

    monkeypatch.setenv("SOCKETNB_VOICEFLOW_PROJECT_ID", "of the platform")
    monkeypatch.setenv("SOCKETNB_VOICEFLOW_USER_ID", "user of the platform")
    assert used() == "of the profile"
    assert hub.profiles().set_index("setting").loc["user_id", "value"] == "user of the platform"
    monkeypatch.setenv("SOCKETNB_MY_BOT_PROJECT_ID", "of the profile's variable")
    assert used() == "of the profile's variable"


def test_what_is_given_wins_over_the_profile(hub: Hub, write: Write, desk: Simulator) -> None:
    write(f'[help]\nplatform = "eusate"\nurl = "{desk.url}"\napi_key = {{env = "HELP_KEY"}}\nsession_id = "me"\n')
    assert hub.connect("help", api_key=KEY).ids["session_id"] == "me"
    assert hub.connect("help", api_key=KEY, session_id="you").ids["session_id"] == "you"


def test_the_profile_beside_the_notebook_wins_over_the_users(hub: Hub, write: Write, home: Path) -> None:
    write('[a]\nplatform = "voiceflow"\nproject_id = "far"\n[b]\nplatform = "eusate"\n', home)
    near = write('[a]\nplatform = "voiceflow"\nproject_id = "near"\n')
    table = hub.profiles()
    assert hub.profile_names() == ["a", "b"]
    (row,) = table[(table["profile"] == "a") & (table["setting"] == "project_id")].to_dict("records")
    assert (row["value"], row["source"]) == ("near", f"{near}, line 3")


def test_a_value_may_be_in_the_environment_or_in_a_keyring(
    hub: Hub, write: Write, desk: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class Ring(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return KEY if (service, username) == ("eusate/team", "me") else None

        def set_password(self, service: str, username: str, password: str) -> None: ...
        def delete_password(self, service: str, username: str) -> None: ...

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        write(f'[help]\nplatform = "eusate"\nurl = "{desk.url}"\napi_key = {{keyring = "eusate/team/me"}}\n')
        assert hub.connect("help").state == "ready"
        (row,) = hub.profiles().query("setting == 'api_key'").to_dict("records")
        assert row["value"] == "in the keyring as eusate/team/me"
        write(f'[help]\nplatform = "eusate"\nurl = "{desk.url}"\napi_key = {{keyring = "eusate/nobody"}}\n')
        with pytest.raises(SettingsError, match="profiles.toml, line 4: the keyring has no eusate/nobody"):
            hub.connect("help")
    finally:
        keyring.set_keyring(before)
    write(f'[help]\nplatform = "eusate"\nurl = "{desk.url}"\napi_key = {{env = "HELP_KEY"}}\n')
    with pytest.raises(SettingsError, match="profiles.toml, line 4: the environment has no HELP_KEY"):
        hub.connect("help")
    assert "the environment has no HELP_KEY" in hub.profiles().to_string()
    monkeypatch.setenv("HELP_KEY", KEY)
    assert hub.connect("help").state == "ready"


def test_the_table_of_profiles_masks_credentials_and_shows_what_is_missing(hub: Hub, write: Write) -> None:
    token = "0123456789abcdef" * 4
    file = write(
        f'[shop]\nplatform = "cognigy"\nurl = "https://endpoint.example/{token}"\n'
        f'[help]\nplatform = "eusate"\napi_key = "{KEY}"\n[none]\nplatform = "eusate"\n'
    )
    table = hub.profiles()
    assert list(table) == ["profile", "platform", "setting", "value", "source"]
    assert token not in table.to_string()
    assert KEY not in table.to_string()
    rows = {(row["profile"], row["setting"]): row for row in table.to_dict("records")}
    assert rows["help", "api_key"]["value"].startswith("***")
    assert rows["help", "api_key"]["source"] == f"{file}, line 6"
    assert rows["help", "timeout"]["source"] == "default"
    assert (rows["none", "api_key"]["value"], rows["none", "api_key"]["source"]) == ("", "")


def test_a_profile_can_be_tried_on_a_simulator(hub: Hub, write: Write) -> None:
    write('[shop]\nplatform = "voiceflow"\nproject_id = "x"\nuser_id = "me"\napi_key = {env = "NOT_SET"}\n')
    bot = hub.connect("shop", simulate=True)
    assert (bot.name, bot.ids["user_id"], bot.say("hours").status) == ("shop", "me", "completed")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[a]\nplatform = "voicflow"\n', 2, "unknown platform 'voicflow'; did you mean 'voiceflow'?"),
        (
            '[a]\nplatform = "voiceflow"\n\nproject = "x"\n',
            4,
            "unknown voiceflow setting 'project'; did you mean 'project_id'?",
        ),
        ('[a]\nplatform = "eusate"\ntimeout = "soon"\n', 3, "eusate: timeout is a number from 0 up, not 'soon'"),
        ('[a]\nplatform = "eusate"\napi_key = 7\n', 3, "eusate: api_key is a text that is not empty"),
        ('[a]\nplatform = "eusate"\napi_key = {evn = "X"}\n', 3, "did you mean 'env'? api_key is a value, {env ="),
        ('[a]\nplatform = "eusate"\napi_key = {env = 7}\n', 3, "env is the name of a variable"),
        ('[a]\nplatform = "eusate"\napi_key = {keyring = "me"}\n', 3, 'keyring is "service/user"'),
        ('\n[a]\nproject_id = "x"\n', 2, 'a needs platform = "cognigy", or another of cognigy, eusate, voiceflow'),
        ('platform = "eusate"\n', 1, "platform stands in no profile: a line [shop] above it begins one"),
        ('[voiceflow]\nplatform = "voiceflow"\n', 1, "a profile is called by one word that is no platform"),
        ('["two words"]\nplatform = "voiceflow"\n', 1, "a profile is called by one word that is no platform"),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_file_and_line(
    hub: Hub, write: Write, text: str, line: int, said: str
) -> None:
    file = write(text)
    uses = [hub.profiles, *([lambda: hub.connect("a")] if "[a]" in text else [])]
    for use in uses:
        with pytest.raises(SettingsError) as caught:
            use()
        assert str(caught.value).startswith(f"{file}, line {line}: {said}")


def test_bad_toml_is_told_with_file_and_line(hub: Hub, write: Write) -> None:
    file = write('[a]\nplatform = "eusate\n')
    with pytest.raises(SettingsError) as caught:
        hub.profiles()
    assert str(caught.value).startswith(f"{file} is no TOML: ")
    assert "line 2" in str(caught.value)


def test_a_name_that_is_neither_platform_nor_profile_is_told_with_what_there_is(hub: Hub, write: Write) -> None:
    write('[shop]\nplatform = "eusate"\n')
    with pytest.raises(SettingsError, match="unknown platform or profile 'shp'; did you mean 'shop'?"):
        hub.connect("shp")
    with pytest.raises(SettingsError, match="unknown profile 'shp'; did you mean 'shop'?"):
        hub.connect(profile="shp")
    with pytest.raises(SettingsError, match="profile 'shop' is of eusate, not of cognigy"):
        hub.connect("cognigy", profile="shop")
    with pytest.raises(SettingsError, match="connect to which platform"):
        hub.connect()


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_a_file_with_credentials_that_others_can_read_draws_a_warning(hub: Hub, write: Write) -> None:
    file = write(f'[a]\nplatform = "eusate"\napi_key = "{KEY}"\n', mode=0o644)
    with pytest.warns(UserWarning, match=f"others can read it: chmod 600 {file}") as caught:
        hub.profiles()
    assert KEY not in str(caught[0].message)
    write('[a]\nplatform = "eusate"\napi_key = {env = "X"}\n', mode=0o644)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hub.profiles()


def test_a_key_that_stands_in_a_cell_draws_one_warning_that_names_better_places(
    cells: Cells, hub: Hub, desk: Simulator
) -> None:
    cells.shell.user_ns |= {"hub": hub, "url": desk.url, "key": KEY}
    with pytest.warns(UserWarning, match="stands in a cell") as caught:
        cells.run(f"a = hub.connect('eusate', name='a', url=url, api_key='{KEY}')")
        cells.run(f"b = hub.connect('eusate', name='b', url=url, api_key='{KEY}')")
    (said,) = [str(warning.message) for warning in caught]
    for place in ("SOCKETNB_EUSATE_API_KEY", "profiles.toml", "keyring", "getpass"):
        assert place in said
    assert KEY not in said


def test_so_does_one_in_a_magic(cells: Cells, hub: Hub, desk: Simulator) -> None:
    with pytest.warns(UserWarning, match="stands in a cell"):
        cells.run(f"%chat connect eusate --url {desk.url} --set api_key={KEY}")
    assert hub.session().state == "ready"


def test_one_that_comes_from_a_variable_draws_none(cells: Cells, hub: Hub, desk: Simulator) -> None:
    cells.shell.user_ns |= {"hub": hub, "url": desk.url, "key": KEY}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cells.run("a = hub.connect('eusate', name='a', url=url, api_key=key)").success
        assert cells.run("%chat connect eusate --name b --url {url} --set api_key={key}").success
    assert [session.state for session in hub.sessions()] == ["ready", "ready"]


def test_each_key_that_stands_in_a_cell_is_told_of_and_none_that_only_looks_so(cells: Cells, hub: Hub) -> None:
    cells.shell.user_ns |= {"hub": hub}
    desks = [hub.simulate("eusate", token=key) for key in (KEY, "another-planted-key", "test")]
    cells.shell.user_ns |= {"urls": [desk.url for desk in desks], "short": "test"}
    with pytest.warns(UserWarning, match="stands in a cell") as caught:
        cells.run(f"hub.connect('eusate', name='a', url=urls[0], api_key='{KEY}', timeout='soon')")
        cells.run("hub.connect('eusate', name='b', url=urls[1], api_key='another-planted-key')")
        cells.run("hub.connect('eusate', name='testing', url=urls[2], api_key=short)")
    assert len(caught) == 2
    assert all(warning.filename == "socketnb" for warning in caught), "no line of code stands below it"
    assert [session.name for session in hub.sessions()] == ["b", "testing"]


def test_the_nearest_profile_counts_even_if_a_farther_one_of_its_name_is_wrong(
    hub: Hub, write: Write, home: Path
) -> None:
    write('[a]\nplatform = "nope"\n', home)
    write('[a]\nplatform = "voiceflow"\nproject_id = "x"\n[b]\nplatform = "nope"\n')
    assert hub.connect("a", simulate=True).platform == "voiceflow"


def test_on_a_simulator_a_profiles_credentials_are_not_looked_up_and_the_rest_is(
    hub: Hub, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ME", "me")
    write(
        '[a]\nplatform = "voiceflow"\nsession_key = {keyring = "none/none"}\nuser_id = {env = "ME"}\n'
        'environment_id = {env = "NOT_HERE"}\n'
    )
    assert hub.connect("a", simulate=True).ids["user_id"] == "me"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'\xef\xbb\xbf[a]\r\nplatform = "voiceflow"\r\n', ""),
        (b"[a]\nplatform = " + b"[" * 3000, "is no TOML"),
        (b"[a]\ntimeout = " + b"9" * 5000, "is no TOML"),
        (b"\xff\xfe[\x00", "cannot be read"),
        (b'[[a]]\nplatform = "voiceflow"\n', "a profile begins with [shop], once"),
    ],
)
def test_any_file_is_read_or_told_of(hub: Hub, write: Write, data: bytes, said: str) -> None:
    write("").write_bytes(data)
    if said:
        with pytest.raises(SettingsError) as caught:
            hub.profiles()
        assert said in str(caught.value)
    else:
        assert list(hub.profiles()["profile"].unique()) == ["a"]


def test_a_url_that_may_have_a_credential_in_it_is_masked_wherever_it_comes_from(
    hub: Hub, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[a]\nplatform = "cognigy"\n[b]\nplatform = "voiceflow"\nurl = "https://plain.example/"\n')
    monkeypatch.setenv("SOCKETNB_A_URL", f"h.example/{'ab' * 32}")
    table = hub.profiles().to_string()
    assert "ab" * 8 not in table
    assert "https://plain.example" in table


def test_a_key_is_in_no_verbose_traceback_of_ours(cells: Cells, hub: Hub) -> None:
    cells.shell.user_ns |= {"hub": hub, "key": KEY}
    cells.run("%xmode Verbose")
    for cell in (
        "hub.connect('eusate', profile=['a'], api_key=key)",
        "try: hub.connect('eusate', api_key=key, nonsense=1)\nexcept Exception as error: raise RuntimeError from error",
        "hub.connect('eusate', url='http://127.0.0.1:9', api_key=key, turn_timeout=object())",
    ):
        assert not cells.run(cell).success
        assert KEY not in (cells.text + cells.errors).replace(f"key = {KEY!r}", "")  # that one is the user's own line
