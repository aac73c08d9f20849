"""Sentences about groups of people, written by us, in which only the predicate tells harm from none.

A scorer trained on posts learns that the name of a group is a sign of toxicity, because abuse names groups
more often than other posts do. Equal numbers of harmless and abusive sentences for every group unlearn part
of that (Dixon et al. 2018, "Measuring and mitigating unintended bias in text classification"). No sentence
was taken from HateCheck; what bias is left stands on the card, as ``ident_neutral_nh`` and ``ident_pos_nh``.
"""

_PEOPLE = """women; men; girls; boys; gay people; gays; lesbians; gay men; bisexual people; trans people;
transgender people; trans women; queer people; muslims; jews; jewish people; christians; hindus;
buddhists; catholics; atheists; immigrants; migrants; refugees; foreigners; black people; white
people; black women; asians; asian people; latinos; mexicans; chinese people; indians; arabs;
africans; native americans; disabled people; people with disabilities; blind people; deaf people;
autistic people; old people; poor people; homeless people"""

_HARMLESS = """many {} live in this town.
my best friends are {}.
{} deserve the same rights as everyone else.
the museum opened an exhibition about {}.
i met some {} at the festival last year and had a great time.
{} have contributed a lot to this country.
we should listen to {} when they speak about their lives.
the study asked 200 {} about their health.
it is wonderful to work with {}.
{} are welcome here.
i respect {}.
there are {} in every profession.
as one of the {} in my class, i enjoyed the course.
the film tells the story of two {} who open a bakery.
more {} than ever voted in the election.
nobody should be treated badly for being among {}.
{} are people like you and me.
the law protects {} from discrimination.
i am proud to stand with {}.
she writes books for {}."""

_ABUSIVE = """{} are disgusting.
i can't stand {}, they are all the same scum.
{} are nothing but vermin.
all {} should be wiped out.
{} are stupid and worthless.
i want to beat up {}.
get rid of {}, they ruin everything.
{} are subhuman trash.
{} make me sick.
nobody would miss {} if they died.
{} do not deserve to live.
we must keep filthy {} out.
{} are inferior to us.
someone should shoot {}.
{} are lying parasites.
shut up, you ugly {}.
{} belong in prison, not among us.
i spit on {}.
the world would be better without {}.
{} are criminals by nature."""


def identity_sentences() -> list[tuple[str, bool]]:
    """(sentence, whether it is abusive) for every group and template."""
    groups = [" ".join(name.split()) for name in _PEOPLE.split(";")]
    templates = [(line, False) for line in _HARMLESS.splitlines()]
    templates += [(line, True) for line in _ABUSIVE.splitlines()]
    return [(template.format(group), abusive) for group in groups for template, abusive in templates]
