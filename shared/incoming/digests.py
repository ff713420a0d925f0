"""Digests of what people wrote, by which a later look at GitLab tells whether it is still so."""

import re
from hashlib import sha256

# No part may hold what another could begin with: so its time is linear.
_IMAGE = r"(!\[[^\[\]\n]*\])\([^()\n]*\)"


def digest(text: str) -> str:
    """Return the hex SHA-256 of a text, but for where its images are.

    Webhooks rewrite `![](/uploads/…)` in descriptions to absolute addresses, the API does not:
    https://docs.gitlab.com/user/project/integrations/webhooks/#image-url-rewriting
    """
    return sha256(re.sub(_IMAGE, r"\1", text).encode("utf-8", "replace")).hexdigest()


def digest_of_texts(title: str, description: str) -> str:
    """Return the digest of what an issue or merge request says."""
    return digest(f"{title}\n{description}")
