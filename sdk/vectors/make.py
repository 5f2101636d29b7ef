"""Makes docs/webhooks/vectors.json: webhooks that a receiver must take, and ones that it must refuse.

Keys and ids come from fixed seeds. The RSA key and the signatures with RSA-PSS are random by nature: what the file
holds is kept as long as it is right, and made where it is not. `--anew` makes all of it anew, `--check`
writes nothing and fails if the file is not what this makes. Needs the package `cryptography`.
"""

import argparse
import sys

import cases
from keys import KEY_NAMES, Keys
from message import Kept
from writing import VECTORS, read, written


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--anew", action="store_true", help="make what is random anew")
    options.add_argument("--check", action="store_true", help="fail if the file would change")
    options = options.parse_args()
    old = None if options.anew else read(VECTORS)
    keys = Keys(old)
    vectors = cases.all_of_them(keys, Kept(old))
    names = [vector["name"] for vector in vectors]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f"two vectors have one name: {sorted(twice)}")
    text = written(
        {
            "version": 1,
            "receiver": {"window_s": cases.WINDOW_S, "body_max_bytes": cases.BODY_MAX_BYTES},
            "keys": {keys.id_of(name): keys.entry(name) for name in KEY_NAMES},
            "jwks": keys.jwks(),
            "vectors": vectors,
        }
    )
    if options.check:
        if not VECTORS.is_file() or VECTORS.read_text(encoding="utf-8") != text:
            sys.exit(f"{VECTORS.name} is not what make.py makes: run it, and look at the difference")
        print(f"{VECTORS.name}: {len(vectors)} vectors, as make.py makes them")
        return
    VECTORS.write_text(text, encoding="utf-8")
    print(f"{VECTORS.name}: {len(vectors)} vectors")


if __name__ == "__main__":
    main()
