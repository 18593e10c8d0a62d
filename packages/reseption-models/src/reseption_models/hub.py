"""Whether the Hugging Face hub can be reached: its client asks again for half a minute before it says that it can't."""

import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_PATIENCE_S = 5.0


def check_reachable() -> None:
    """Connects to the hub, or to the proxy before it, once; nothing is asked where its client is to stay offline.

    Raises:
        OSError: nobody answers there.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return
    hub = urlsplit(constants.ENDPOINT)
    proxy = getproxies().get(hub.scheme)
    if proxy and not proxy_bypass(hub.hostname or ""):
        hub = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = hub.port or (80 if hub.scheme == "http" else 443)
    socket.create_connection((hub.hostname or "", port), _PATIENCE_S).close()
