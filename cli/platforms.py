"""From the settings file to the installation it describes."""

from pathlib import Path

from cli.google import Google
from cli.installation import Installation
from cli.local import Local
from shared.installation.settings import Settings
from shared.installation.settings_file import parse


def open_installation(file: Path, platform: str = "") -> tuple[dict[str, str], Installation]:
    """Return the file's settings and the installation it describes, on this platform if given.

    Raises SettingsError for a wrong line or value, Unusable where no platform can be reached.
    """
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    settings = parse(text)
    Settings.read(settings)
    platform = platform or settings.get("PLATFORM", "local")
    if platform == "aws":
        from cli.aws import Aws  # noqa: PLC0415  its SDK is not there on other platforms

        return settings, Aws(settings)
    return settings, Google(settings) if platform == "google" else Local(settings)
