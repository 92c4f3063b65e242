import pytest
from timm.models import get_pretrained_cfg, list_models

from kdzoo.base.errors import ModelError, UsageError
from kdzoo.zoo.licences import ON_THE_HUB, PERMISSIVE, Licence, Source, choose_licence, is_non_commercial, unclear


def teachers(*licences: str | None) -> list[Source]:
    return [Source(f"t{index}", "teacher", licence) for index, licence in enumerate(licences)]


@pytest.mark.parametrize(
    ("sources", "licence"),
    [
        (["apache-2.0"], "apache-2.0"),
        (["mit", "mit"], "mit"),
        (["apache-2.0", "cc-by-nc-4.0"], "cc-by-nc-4.0"),
        (["bsd-3-clause", "cc-by-sa-4.0"], "cc-by-sa-4.0"),
    ],
)
def test_sources_that_leave_no_choice_decide(sources, licence):
    assert choose_licence(None, teachers(*sources)) == Licence(licence, inherited=True)


@pytest.mark.parametrize("sources", [[], [None], ["mit", None], ["gemma"], ["mit", "apache-2.0"], ["seer-license"]])
def test_where_there_is_a_choice_it_must_be_made(sources):
    with pytest.raises(UsageError) as caught:
        choose_licence(None, teachers(*sources))
    assert "--license" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("asked", "sources", "why"),
    [
        ("apache-2.0", ["cc-by-nc-4.0"], "allows non-commercial use alone"),
        ("mit", ["mit", "fair-noncommercial-research-license"], "allows non-commercial use alone"),
        ("cc-by-4.0", ["apple-amlr"], "non-commercial"),
        ("cc-by-nc-4.0", ["cc-by-nc-sa-4.0"], "same licence"),
        ("apache-2.0", ["gpl-3.0"], "same licence"),
        ("cc-by-nc-nd-4.0", ["cc-by-nc-nd-4.0"], "forbids sharing"),
    ],
)
def test_what_a_source_forbids_is_refused(asked, sources, why):
    with pytest.raises(ModelError, match=why) as caught:
        choose_licence(asked, teachers(*sources))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("asked", "sources"),
    [
        ("cc-by-nc-4.0", ["cc-by-nc-4.0"]),
        ("cc-by-nc-sa-4.0", ["cc-by-nc-4.0", "mit"]),
        ("apache-2.0", [None]),
        ("mit", ["gemma"]),
        ("Apache-2.0 ", []),
    ],
)
def test_what_nothing_forbids_is_taken(asked, sources):
    assert choose_licence(asked, teachers(*sources)).identifier == asked.strip().lower()


def test_a_licence_of_its_own_needs_a_name_and_a_text():
    link = "https://example.org/terms"
    assert choose_licence("other", [], name="acme-nc", link=link) == Licence("other", "acme-nc", link)
    assert choose_licence("other", teachers("cc-by-nc-4.0"), name="acme-nc", link=link).shown == "acme-nc"
    with pytest.raises(ModelError, match="non-commercial"):
        choose_licence("other", teachers("cc-by-nc-4.0"), name="acme", link=link)
    for name, address in ((None, None), ("acme", None), ("Acme Licence", link), ("acme", "javascript:alert(1)")):
        with pytest.raises(UsageError):
            choose_licence("other", [], name=name, link=address)
    with pytest.raises(UsageError, match="knows no licence"):
        choose_licence("my-licence", [])
    with pytest.raises(UsageError, match="on the Hub"):
        choose_licence("mit", [], name="acme")


def test_every_licence_in_timm_is_sorted():
    """A licence that timm gains is at least not taken for a permissive one."""
    found = {get_pretrained_cfg(name).license for name in list_models(pretrained=True)}
    sorted_out = {name for name in found if name in PERMISSIVE}
    assert {"apache-2.0", "mit", "bsd-3-clause"} <= sorted_out
    assert not any(is_non_commercial(name) for name in sorted_out)
    assert {name for name in found if name and is_non_commercial(name)} >= {
        "cc-by-nc-4.0",
        "apple-amlr",
        "seer-license",
    }
    for name in ("dinov3-license", "gemma", "cvnets-license", None):
        assert unclear(Source("x", "teacher", name))
    assert PERMISSIVE <= ON_THE_HUB
