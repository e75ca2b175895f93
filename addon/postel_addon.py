"""Postel for stock mitmproxy: `mitmdump -s postel_addon.py --mode reverse:http://127.0.0.1:8000`.

Owns the mitmproxy options of that way of running (`--set postel_rules=...`); settings that have no option come from
`POSTEL_*` in the environment. Everything else is `postel.proxy.addon`.
"""

from __future__ import annotations

import logging

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.net.server_spec import parse

from postel.proxy.addon import Postel
from postel.proxy.options import pinned
from postel.rulefile.finding import RuleFileError
from postel.run import normaliser
from postel.settings import SettingsError
from postel.settings import load as load_settings  # mitmproxy calls a `load` of a script as a hook

logger = logging.getLogger(__name__)

_OPTIONS = ("rules", "packs", "dialect", "mode", "provenance")


class PostelScript:
    """Reads mitmproxy's options and puts a `Postel` behind itself."""

    def __init__(self) -> None:
        self.addons: list[Postel] = []

    def load(self, loader: Loader) -> None:
        loader.add_option("postel_rules", str, "", "Rule files or folders of your own, separated by commas.")
        loader.add_option("postel_packs", str, "", "Ask only these packs of engines, providers and proxies.")
        loader.add_option("postel_dialect", str, "", "How faults are told: a dialect's name or a dialect file.")
        loader.add_option("postel_mode", str, "", "`enforce` or `observe`.")
        loader.add_option("postel_provenance", bool, False, "Tell clients which fault and rule decided.")

    def configure(self, updated: set[str]) -> None:
        if not updated & {"mode", *(f"postel_{name}" for name in _OPTIONS)}:
            return
        given = {name: value for name in _OPTIONS if (value := getattr(ctx.options, f"postel_{name}"))}
        try:
            settings = load_settings({**given, "upstream": _upstream(ctx.options.mode), "listen": ":0"})
            made, left_out = normaliser(settings)
        except (SettingsError, RuleFileError) as error:
            raise exceptions.OptionsError(f"postel: {error}") from None
        for line in left_out:
            logger.warning("postel: left out: %s", line)
        ours = pinned(settings)
        for name in ("mode", "listen_host", "listen_port", "ssl_insecure", "ssl_verify_upstream_trusted_ca"):
            del ours[name]  # these are the user's to say
        if (keep := settings.model_copy(update={"keep_host": ctx.options.keep_host_header})) != settings:
            settings = keep
        ctx.options.update(**ours | {"keep_host_header": settings.keep_host}, onboarding=False)
        if self.addons:
            self.addons[0].use(settings, made)
        else:
            self.addons = [Postel(settings, made)]
            self.addons[0].keeps_bodies = True  # people look at flows here, and save them


def _upstream(modes: list[str]) -> str:
    """The upstream of the one reverse mode. Anything else would make a forward proxy of a pod."""
    if len(modes) == 1 and modes[0].startswith("reverse:"):
        scheme, (host, port) = parse(modes[0].removeprefix("reverse:").partition("@")[0], default_scheme="https")
        if scheme in ("http", "https"):
            return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    raise exceptions.OptionsError("postel: needs exactly one --mode reverse:http://HOST:PORT (or https)")


addons = [PostelScript()]
