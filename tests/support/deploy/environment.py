"""Which variables a cloud's functions read: from the tables and from the syntax trees."""

import ast
from importlib import import_module

from shared.installation.settings import VARIABLES
from tests import ROOT

# What the platform itself sets, and the way to a stand-in, which no deployment takes.
NOT_OURS = {"_HANDLER", "FUNCTION_TARGET", "SECRET_MANAGER_ENDPOINT", "CLOUD_TASKS_ENDPOINT"}


def needs(cloud: str) -> dict[str, set[str]]:
    """Return what each handler cannot do without: the settings, and its row of `NEEDS`."""
    table: dict[str, dict[str, str]] = import_module(f"functions.{cloud}.handlers").NEEDS
    return {name: set(row) | set(VARIABLES) for name, row in table.items()}


def read(cloud: str) -> set[str]:
    """Return every variable that the cloud's code looks at."""
    found = set(VARIABLES).union(*needs(cloud).values())
    for path in (ROOT / "functions" / cloud).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            source = ast.unparse(node)
            if isinstance(node, ast.Subscript) and source.startswith("os.environ["):
                found |= _names(node.slice)
            elif isinstance(node, ast.Call) and source.startswith("os.environ.get("):
                found |= set().union(*map(_names, node.args))
    return found - NOT_OURS


def handlers(cloud: str) -> set[str]:
    """Return the handlers that are written."""
    tree = ast.parse((ROOT / "functions" / cloud / "handlers.py").read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return names & {"receive", "dispatch", "sweep"}


def _names(node: ast.expr) -> set[str]:
    return (
        {node.value}
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isupper()
        else set()
    )
