"""One secret of each kind, random at run time, in the words that stand around it in practice."""
import base64
import hashlib
import hmac
import json
import random
import string
import subprocess
import zlib

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def pick(rng, alphabet, length):
    return "".join(rng.choice(alphabet) for _ in range(length))


def github(rng):
    """A classic token ends with the CRC-32 of its body in base62."""
    body = pick(rng, BASE62, 30)
    crc, digits = zlib.crc32(body.encode()), ""
    while crc:
        crc, digit = divmod(crc, 62)
        digits = BASE62[digit] + digits
    return "gh" + "p_" + body + digits.rjust(6, "0")


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(rng):
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": str(rng.randrange(10**9)), "name": pick(rng, string.ascii_lowercase, 8), "iat": 1700000000}]
    head = ".".join(url64(json.dumps(p, separators=(",", ":")).encode()) for p in parts)
    return head + "." + url64(hmac.new(rng.randbytes(32), head.encode(), hashlib.sha256).digest())


def pem(rng):
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], capture_output=True, check=False)
    if made.returncode == 0:
        return made.stdout.decode()
    kind = "PRIVATE" + " KEY"
    return f"-----BEGIN {kind}-----\n" + base64.encodebytes(b"\x30\x81\x87\x02\x01\x00" + rng.randbytes(132)).decode() + f"-----END {kind}-----\n"


def connection(rng):
    return "postgres" + "://app_rw:" + pick(rng, BASE62, 18) + "@db-7.prod.corp-services.net:5432/billing"


def aws(rng):
    access = "AKI" + "A" + pick(rng, string.ascii_uppercase + "234567", 16)
    return f"aws_access_key_id = {access}\naws_secret_access_key = {pick(rng, BASE62 + '+/', 40)}\n"


def password(rng):
    return "db_password = \"" + pick(rng, string.ascii_letters + string.digits + "!#$*-_", 20) + "\""


def anthropic(rng):
    return "sk-" + "ant-api03-" + pick(rng, BASE62 + "-_", 93) + "AA"


def slack(rng):
    return "https://hooks.slack" + ".com/services/T" + pick(rng, string.ascii_uppercase + string.digits, 10) + "/B" + pick(
        rng, string.ascii_uppercase + string.digits, 10) + "/" + pick(rng, BASE62, 24)


KINDS = {
    "token (GitHub)": github,
    "token (Anthropic)": anthropic,
    "JWT": jwt,
    "PEM key": pem,
    "connection string": connection,
    "AWS pair": aws,
    "webhook (Slack)": slack,
    "password = …": password,
}


def all_secrets(seed):
    rng = random.Random(seed)
    return {name: make(rng).encode() for name, make in KINDS.items()}
