"""What one person told is not shown to, replaced by, or forgotten for another."""

from __future__ import annotations

from support.agents_language import Person, whole_fleet


async def test_memories_of_users_stay_apart() -> None:
    """Recall, lists and forgetting reach one's own facts and the shared ones only."""
    async with whole_fleet() as fleet:
        ana, ben, nobody = Person(fleet), Person(fleet, "ben"), Person(fleet, "default")
        await ana.says("Remember that my dentist is Dr. Cruz")
        before = [await who.says("Who is my dentist?") for who in (ben, nobody)]
        await ben.says("Remember that my dentist is Dr. Lim")
        hers, his = await ana.says("Who is my dentist?"), await ben.says("Who is my dentist?")
        await nobody.says("forget my dentist")
        await nobody.says("yes")
        still = await ana.says("tell me about my dentist")
        listed = await nobody.says("what do you know about me?")
        own = await ana.says("what do you know about me?")

    assert all("nothing about that" in text for text in before)
    assert "Dr. Cruz" in hers
    assert "Dr. Lim" not in hers
    assert "Dr. Lim" in his
    assert "Dr. Cruz" not in his
    assert "Dr. Cruz" in still
    assert listed == "You have not told me anything yet."
    assert own == 'You told me 1 thing: "my dentist is Dr. Cruz".'


async def test_facts_of_nobody_are_shared() -> None:
    """A fact with another source than a user is everybody's."""
    async with whole_fleet() as fleet:
        await fleet.call(
            "KnowledgeBase.add_fact", topic="wifi", content="our wifi password is mango"
        )
        answers = [await Person(fleet, who).says("what is our wifi password?") for who in "ab"]

    assert all("mango" in text for text in answers)


async def test_what_was_said_in_passing_stays_with_who_said_it() -> None:
    """A turn of one person's conversation is no answer to another's question."""
    async with whole_fleet() as fleet:
        await Person(fleet).says("I parked my car on level 7 of the mall")
        answers = [await Person(fleet, "ben").says("where did I park my car?")]
        answers.append(await Person(fleet, "ben").says("which level of the mall is the car on?"))

    assert not [text for text in answers if "level 7" in text]
