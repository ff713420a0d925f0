"""Builds what a release carries, the same bytes from the same sources.

    python3 deploy/release.py FOLDER

- `gitlab-claude-trigger-VERSION.zip`: the three Lambda functions, for an S3 bucket of your own
- `template.yaml`: the stack, which takes that bucket and key as parameters
- `claude.yml`: the job, to include where there is no CI/CD catalog
- `sbom.cdx.json`: the packages in the zip, by their lock, as CycloneDX 1.6
- `SHA256SUMS`

It uploads nothing. Byte-code is in the zip where Lambda's Python is here (see deploy/bundle.py).
"""
# ruff: noqa: INP001  a script, not a package

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THEN = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip file can hold

_CODE = """\
  CodeBucket:
    Type: String
    Description: The S3 bucket, in the stack's region, that you have uploaded the zip file to
    MinLength: 3
    ConstraintDescription: CodeBucket is the name of a bucket.
  CodeKey:
    Type: String
    Default: {key}
    Description: The zip file's key in that bucket
    MinLength: 1
    ConstraintDescription: CodeKey is the key of the zip file.
"""


def main() -> None:
    """Build into the folder that the command line names."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as bundle:
        command = [sys.executable, str(ROOT / "deploy" / "bundle.py"), "aws", bundle]
        subprocess.run(command, check=True)
        pack(Path(bundle), folder / zip_name())
    (folder / "template.yaml").write_text(console((ROOT / "template.yaml").read_text()))
    shutil.copyfile(ROOT / "templates" / "claude.yml", folder / "claude.yml")
    locked = (ROOT / "functions" / "aws" / "requirements.txt").read_text()
    (folder / "sbom.cdx.json").write_text(json.dumps(sbom(locked, version()), indent=1) + "\n")
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")


def version() -> str:
    """Return the version of these sources."""
    text = (ROOT / "shared" / "contract" / "version.py").read_text()
    return text.partition('VERSION = "')[2].partition('"')[0]


def zip_name() -> str:
    """Return the zip file's name: another for each version, so that a stack sees the update."""
    return f"gitlab-claude-trigger-{version()}.zip"


def pack(folder: Path, archive: Path) -> None:
    """Zip a folder: sorted, with one time and one mode, so that only contents make a difference."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(str(path.relative_to(folder)), THEN)
                entry.external_attr = 0o644 << 16
                packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def console(template: str) -> str:
    """Return the template with the code's bucket and key as parameters instead of this folder."""
    key = _CODE.format(key=zip_name())
    code = "CodeUri: {Bucket: !Ref CodeBucket, Key: !Ref CodeKey}"
    replaced = template.replace("\nParameters:\n", f"\nParameters:\n{key}", 1)
    replaced = replaced.replace("CodeUri: .\n", f"{code}\n")
    replaced = replaced.replace("    Metadata: {BuildMethod: makefile}\n", "")
    group = "      - Label: {default: Code}\n        Parameters: [CodeBucket, CodeKey]\n"
    return replaced.replace("    ParameterGroups:\n", f"    ParameterGroups:\n{group}", 1)


def sbom(requirements: str, of: str) -> "dict[str, object]":
    """Return the locked packages as a CycloneDX document: https://cyclonedx.org/docs/1.6/json/."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", requirements, re.MULTILINE)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "gitlab-claude-trigger",
                "version": of,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": [
            {
                "type": "library",
                "name": name,
                "version": number,
                "purl": f"pkg:pypi/{name.lower()}@{number}",
            }
            for name, number in found
        ],
    }


if __name__ == "__main__":
    main()
