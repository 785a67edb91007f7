"""Parser of the command line: the commands, their arguments, help and examples."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from difflib import get_close_matches

from proxy import __version__

_EPILOG = """\
examples:
  trello-proxy demo                                look around, without an account
  TRELLO_KEY=… TRELLO_TOKEN=… trello-proxy serve   run the proxy
  trello-proxy config > proxy.yaml                 start from the commented reference

proxy.yaml is the first of: --config, $TRELLO_PROXY_CONFIG, ./proxy.yaml,
$XDG_CONFIG_HOME/trello-proxy/proxy.yaml, /etc/trello-proxy/proxy.yaml.
$TRELLO_KEY, $TRELLO_TOKEN and $TRELLO_SECRET are Trello's credentials;
$TRELLO_PROXY_LISTEN, $TRELLO_PROXY_PUBLIC_URL and $TRELLO_PROXY_LOG_LEVEL
override the file. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration,
130 interrupted. `trello-proxy help COMMAND` explains a command.
"""
_EXAMPLES = {
    "demo": "trello-proxy demo --port 9000",
    "serve": """\
TRELLO_KEY=… TRELLO_TOKEN=… trello-proxy serve
  trello-proxy serve --config /etc/trello-proxy/proxy.yaml --log-level debug""",
    "check": "trello-proxy check --online",
    "config": """\
trello-proxy config > proxy.yaml
  trello-proxy config --schema > proxy.schema.json""",
    "explain": "trello-proxy explain 'https://api.trello.com/1/boards/5f1a…/cards'",
    "link": "trello-proxy link https://trello.com/c/AbCd1234",
    "warm": "trello-proxy warm https://trello.com/b/AbCd1234 --dry-run",
    "purge": """\
trello-proxy purge https://trello.com/b/AbCd1234
  trello-proxy purge card:5f1a…  # a tag that `explain` shows""",
    "key": "trello-proxy key ci",
    "certificate": "trello-proxy certificate --directory /etc/trello-proxy/tls trello.internal",
    "fleet": "trello-proxy fleet forget 10.0.0.7:9080",
    "docs": "trello-proxy docs http",
    "completion": """\
eval "$(trello-proxy completion bash)"
  trello-proxy completion zsh > ~/.zfunc/_trello-proxy
  trello-proxy completion fish > ~/.config/fish/completions/trello-proxy.fish""",
    "help": "trello-proxy help serve",
}
_INTERNAL = "worker"
"""What `serve` runs for `workers`; in no list of commands."""


class CommandLine:
    """The parser of each command, and of the whole line."""

    def __init__(self) -> None:
        self.parser = ArgumentParser(
            prog="trello-proxy",
            description="A caching proxy for Trello's API.",
            epilog=_EPILOG,
            formatter_class=RawDescriptionHelpFormatter,
        )
        version = f"trello-proxy {__version__}"
        self.parser.add_argument("--version", action="version", version=version)
        self._subparsers = self.parser.add_subparsers(metavar="COMMAND", dest="command")
        self.commands: dict[str, ArgumentParser] = {}
        self._add_running()
        self._add_checking()
        self._add_asking()
        self._add_fleet()
        self._add_help()

    def fault_of(self, arguments: list[str]) -> str:
        """What is wrong with the name of the command; empty if nothing is."""
        topic = arguments[1:2] if arguments[:1] == ["help"] else []
        name = next(iter(topic or arguments), "-")
        if name.startswith("-") or name in {*self.commands, _INTERNAL}:
            return ""
        near = get_close_matches(name, self.commands, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(self.commands)}"
        return f"no such command; {hint}"

    def _add(
        self, name: str, text: str, *, has_config: bool = True, has_json: bool = False
    ) -> ArgumentParser:
        """A command; `has_config`: it reads the configuration."""
        parser = self._subparsers.add_parser(
            name,
            help=text[0].lower() + text[1:],
            description=f"{text}.",
            epilog=f"examples:\n  {_EXAMPLES[name]}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        parser.set_defaults(module=name)
        if has_config:
            parser.add_argument("--config", metavar="FILE", help="default: see trello-proxy --help")
        if has_json:
            parser.add_argument("--json", action="store_true", help="print JSON")
        self.commands[name] = parser
        return parser

    def _add_running(self) -> None:
        text = "Run the proxy in front of a fake Trello; no account needed"
        demo = self._add("demo", text, has_config=False)
        text = "default: 8080, or any other when that is taken"
        demo.add_argument("--port", type=_port, metavar="PORT", help=text)
        serve = self._add("serve", "Run the proxy, with $TRELLO_KEY and $TRELLO_TOKEN")
        serve.add_argument("--listen", metavar="HOST:PORT", help="in place of the file's")
        serve.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
        worker = self._subparsers.add_parser(_INTERNAL)
        worker.set_defaults(module=_INTERNAL)
        worker.add_argument("fds", metavar="FD", nargs="+", type=int)

    def _add_checking(self) -> None:
        text = "Validate the configuration and print it, secrets masked"
        check = self._add("check", text, has_json=True)
        for flag, module, text in (
            ("--leaks", "leak_check.check", "search a proxy of this configuration for its secrets"),
            ("--online", "credential_check", "also verify the key and token with Trello"),
        ):
            check.add_argument(flag, dest="module", action="store_const", const=module, help=text)
        text = "Print proxy.yaml with every setting explained"
        config = self._add("config", text, has_config=False)
        text = "print its JSON Schema, for editors"
        config.add_argument("--schema", action="store_true", help=text)
        text = "Make a client key, and print it with its entry in proxy.yaml"
        key = self._add("key", text, has_config=False)
        key.add_argument("name", metavar="NAME", help="of the client, in logs and metrics: ci")
        text = (
            "Make a private CA and a certificate for api.trello.com, for clients with a fixed URL"
        )
        certificate = self._add("certificate", text, has_config=False)
        text = "further host names or addresses of the proxy"
        certificate.add_argument("names", metavar="NAME", nargs="*", help=text)
        text = "for the files; default: here"
        certificate.add_argument("--directory", metavar="DIR", default=".", help=text)

    def _add_asking(self) -> None:
        text = "Explain how the running proxy would serve a read; sends nothing to Trello"
        explain = self._add("explain", text, has_json=True)
        text = "of Trello's API or the proxy's, or its path"
        explain.add_argument("url", metavar="URL", help=text)
        link = self._add("link", "Turn a URL of Trello's into a link to the proxy", has_json=True)
        link.add_argument("url", metavar="URL", help="of a card, a board or an attachment")
        text = "Have the running proxy download boards, their cards and their attachments"
        warm = self._add("warm", text, has_json=True)
        warm.add_argument("boards", metavar="BOARD", nargs="+", help="id, shortLink or URL")
        warm.add_argument("--dry-run", action="store_true", help="only print the number and size")
        text = "Remove what is stored from the running proxy: everything, or what shows an object"
        purge = self._add("purge", text, has_json=True)
        text = "default: everything"
        purge.add_argument("targets", metavar="URL|BOARD|TAG", nargs="*", help=text)

    def _add_fleet(self) -> None:
        text = "Show the leader and the members of the running proxy's fleet"
        fleet = self._add("fleet", text, has_json=True)
        actions = fleet.add_subparsers(dest="action", metavar="[ACTION]", title="actions")
        text = "forget a node that will not come back, so that its promise is not needed"
        forget = actions.add_parser("forget", help=text, description=text)
        text = "default: see trello-proxy --help"
        forget.add_argument("--config", metavar="FILE", default=SUPPRESS, help=text)
        forget.add_argument("--json", action="store_true", default=SUPPRESS, help="print JSON")
        forget.add_argument("node", metavar="NODE", help="its fleet.address")

    def _add_help(self) -> None:
        text = "Print a page of the documentation, or the list of pages"
        docs = self._add("docs", text, has_config=False)
        docs.add_argument("page", metavar="PAGE", nargs="?", help="default: the list")
        text = "Print a script that completes commands and flags, for a shell"
        completion = self._add("completion", text, has_config=False)
        completion.add_argument("shell", choices=("bash", "zsh", "fish"))
        text = "Explain a command, or list the commands"
        explained = self._add("help", text, has_config=False)
        explained.add_argument("topic", metavar="COMMAND", nargs="?", choices=list(self.commands))


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise ArgumentTypeError("not a port; write 0 to 65535")
    return port
