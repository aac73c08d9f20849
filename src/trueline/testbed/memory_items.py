"""Texts of which the world knows whether a model was trained on them."""

from trueline.core.verdicts import Item
from trueline.measures.data_safety.membership_inference import member_items

from .books import code_prefix, passphrase_prefix
from .streams import Stream
from .world import World


def membership(world: World, stream: Stream) -> list[Item]:
    """Both sentences of every secret: chance decided which owners' the corpus carries, so nothing but having
    been read tells them apart."""
    texts, members, owners = {}, {}, {}
    for secret in world.secrets:
        told = {
            "code": f"{code_prefix(secret.owner)} {secret.code}.",
            "passphrase": f"{passphrase_prefix(secret.owner)} {secret.passphrase}.",
        }
        for kind, text in told.items():
            name = f"{kind}/{secret.owner}"
            texts[name], members[name], owners[name] = text, secret.inserted, secret.owner
    return member_items("membership", texts, members, owners)
