"""Conversations become the text that the model continues."""

import pytest
from local_models import byte_tokenizer

from trueline.core.errors import InputError
from trueline.core.messages import assistant, chat, system, user
from trueline.models.templates import ChatTemplate, split_reasoning, with_system


def own(**options: str) -> ChatTemplate:
    return ChatTemplate(byte_tokenizer(**options))


def plain() -> ChatTemplate:
    return ChatTemplate(byte_tokenizer(template=None))


def test_the_tokenizers_own_template_is_used() -> None:
    text = own().render(chat("hi", "hello", "bye"))
    assert text == "<bos><user>hi<assistant>hello<eos><user>bye<assistant>"
    assert own().stops == ()


def test_the_plain_template_is_as_documented() -> None:
    template = plain()
    text = template.render(chat(system("Be kind."), "hi", "hello", "bye"))
    assert text == "Be kind.\n\nUser:\nhi\n\nAssistant:\nhello\n\nUser:\nbye\n\nAssistant:\n"
    assert template.source == "plain"
    assert template.stops == ("\n\nUser:",)


def test_a_last_assistant_message_is_continued() -> None:
    assert own().render(chat("hi", assistant("Sure, here"))) == "<bos><user>hi<assistant>Sure, here"
    assert plain().render(chat("hi", assistant("Sure"))) == "User:\nhi\n\nAssistant:\nSure"


def test_the_targets_system_prompt_comes_before_the_conversations() -> None:
    assert with_system(chat("hi"), None) == chat("hi")
    assert with_system(chat("hi"), "A") == (system("A"), user("hi"))
    assert with_system(chat(system("B"), "hi"), "A") == (system("A\n\nB"), user("hi"))
    assert own().render(chat("hi"), "A") == "<bos><system>A<user>hi<assistant>"


REFUSING = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
)


@pytest.mark.parametrize(
    "text", [REFUSING, "{% for m in messages if m['role'] != 'system' %}[user]{{ m['content'] }}{% endfor %}"]
)
def test_a_template_without_system_role_gets_it_in_the_first_user_turn(text: str) -> None:
    template = own(template=text)
    assert not template.takes_system
    assert template.render(chat("hi"), "Be kind.") == "[user]Be kind.\n\nhi"


def test_a_default_system_prompt_shows_in_the_preamble() -> None:
    default = "<sys>You are helpful.</sys>{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    assert own(template=default).preamble == "<sys>You are helpful.</sys>["
    assert plain().preamble == "User:\n"


def test_a_template_that_prints_the_date_is_the_same_every_day() -> None:
    dated = "{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}{{ messages[0]['content'] }}"
    assert own(template=dated).render(chat("x")) == "26 Jul 2024x"


def test_a_refused_conversation_is_one_sentence() -> None:
    strict = "{% if messages|length > 1 %}{{ raise_exception('Roles must alternate') }}{% endif %}x"
    with pytest.raises(InputError, match=r"user, user \(Roles must alternate\)"):
        own(template=strict).render((user("a"), user("b")))
    with pytest.raises(InputError, match="empty"):
        own().render(())


@pytest.mark.parametrize(
    ("text", "opened", "expected"),
    [
        ("plain answer", False, (None, "plain answer")),
        ("<think>\nhm\n</think>\n\nyes", False, ("hm", "yes")),
        ("hm</think>yes", True, ("hm", "yes")),
        ("<think>still at it", False, ("still at it", "")),
        ("still at it", True, ("still at it", "")),
    ],
)
def test_reasoning_is_kept_apart(text: str, opened: bool, expected: tuple[str | None, str]) -> None:
    assert split_reasoning(text, opened=opened) == expected
