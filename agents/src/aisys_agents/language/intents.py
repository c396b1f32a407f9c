"""The intents that the assistant knows: who serves each, and the example sentences it is told by."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["INTENTS", "SERVED_BY", "Intent", "served_by"]


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that people want.

    Attributes:
        name: the intent's name.
        agent: the agent that serves it.
        examples: sentences in English, Tagalog and both.
    """

    name: str
    agent: str
    examples: tuple[str, ...]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


INTENTS: tuple[Intent, ...] = (
    Intent(
        "greeting",
        "ChitchatAgent",
        _lines("""
            hello
            hi there
            hey assistant
            good morning
            good evening to you
            magandang umaga
            magandang gabi po
            kumusta
            hoy
            hello po
            mabuhay
        """),
    ),
    Intent(
        "farewell",
        "ChitchatAgent",
        _lines("""
            goodbye
            bye for now
            see you later
            good night
            talk to you tomorrow
            paalam
            paalam na po
            aalis na ako
            ingat ka
            babay
        """),
    ),
    Intent(
        "thanks",
        "ChitchatAgent",
        _lines("""
            thank you
            thanks a lot
            many thanks for your help
            I appreciate it
            salamat
            maraming salamat po
            salamat sa tulong
            thank you ha
        """),
    ),
    Intent(
        "how_are_you",
        "ChitchatAgent",
        _lines("""
            how are you
            how are you doing today
            how do you feel
            what's up
            are you okay
            kumusta ka na
            kamusta ka naman
            okay ka lang ba
            ano'ng balita
        """),
    ),
    Intent(
        "joke",
        "ChitchatAgent",
        _lines("""
            tell me a joke
            make me laugh
            say something funny
            do you know any jokes
            another joke please
            magkwento ka ng biro
            patawanin mo ako
            may joke ka ba
            sabihan mo ako ng nakakatawa
        """),
    ),
    Intent(
        "about_self",
        "ChitchatAgent",
        _lines("""
            who are you
            what is your name
            what can you do
            are you a robot
            who made you
            help me, what do you understand
            sino ka
            ano ang pangalan mo
            ano ang kaya mong gawin
            robot ka ba
            sino ang gumawa sa iyo
        """),
    ),
    Intent(
        "small_talk",
        "ChitchatAgent",
        _lines("""
            I am bored
            I feel sad today
            I had a long day at work
            I love rainy weather
            my boss is annoying
            I am so happy right now
            nobody listens to me
            let us chat
            pagod na pagod ako
            malungkot ako ngayon
            ang saya ko ngayon
            naiinip ako
            gusto ko lang makipag-usap
            nakakainis ang trapik
        """),
    ),
    Intent(
        "remember",
        "KnowledgeBase",
        _lines("""
            remember that my dentist is Dr. Reyes
            please remember my locker code is 4412
            note that the meeting moved to Friday
            keep in mind that I am allergic to peanuts
            save this: the wifi password is mango
            for your information my sister's name is Liza
            tandaan mo na ang doktor ko ay si Dr. Santos
            tandaan mo ang plaka ng kotse ko
            itala mo na nasa ikalawang palapag ang opisina
            pakitandaan na bawal ako sa hipon
            take note my flight is PR 102
            tandaan mo na my password hint is blue
        """),
    ),
    Intent(
        "recall",
        "KnowledgeBase",
        _lines("""
            who is my doctor
            what is my locker code
            when is my flight
            where did I park the car
            what did I tell you about the meeting
            do you remember my sister's name
            what do you know about my allergy
            what was the wifi password again
            sino ang doktor ko
            ano ang plaka ng kotse ko
            saan ko nilagay ang susi
            natatandaan mo ba ang pangalan ng kapatid ko
            kailan ang lipad ko
            ano nga ulit ang password namin
        """),
    ),
    Intent(
        "forget",
        "KnowledgeBase",
        _lines("""
            forget what I said about my locker
            forget my dentist
            delete the note about the meeting
            erase what you know about my car
            remove that from your memory
            kalimutan mo na ang tungkol sa kotse ko
            burahin mo ang tungkol sa dentista ko
            kalimutan mo na iyon
        """),
    ),
    Intent(
        "reminder",
        "ProactiveAgent",
        _lines("""
            remind me to call mom at six
            remind me in ten minutes to check the oven
            set a timer for five minutes
            set an alarm for 6 am
            wake me up at seven
            don't forget to tell me to buy milk tomorrow
            paalalahanan mo akong uminom ng gamot mamaya
            ipaalala mo sa akin ang miting bukas
            gisingin mo ako ng alas sais
            i-remind mo ako bukas na magbayad ng kuryente
            mag-set ka ng alarm ng alas singko
            pa-remind naman na tumawag kay Ana
        """),
    ),
    Intent(
        "list_reminders",
        "ProactiveAgent",
        _lines("""
            what reminders do I have
            list my reminders
            show my alarms and timers
            what are my pending reminders
            do I have any reminders today
            ano ang mga paalala ko
            ilista mo ang mga paalala
            may alarm ba ako bukas
        """),
    ),
    Intent(
        "cancel_reminder",
        "ProactiveAgent",
        _lines("""
            cancel my reminder to sleep
            cancel all reminders
            delete the milk reminder
            kanselahin mo ang paalala ko
        """),
    ),
    Intent("snooze", "ProactiveAgent", ("snooze", "snooze for 5 minutes", "i-snooze mo")),
    Intent(
        "list_memories",
        "KnowledgeBase",
        ("what do you know about me", "list everything you remember", "ano ang alam mo sa akin"),
    ),
    Intent(
        "calculate",
        "ModelOrchestrator",
        _lines("""
            what is 15% of 200
            calculate 12 times 9
            how much is 45 plus 17
            divide 144 by 12
            square root of 81
            ilan ang lima plus pito
            magkano ang 20 porsyento ng 500
            kwentahin mo ang 12 x 12
            compute the sum of 3 and 4
            i-compute mo ang 5 times 8
        """),
    ),
    Intent(
        "convert_units",
        "ModelOrchestrator",
        _lines("""
            how many kilometres is 10 miles
            convert 5 kilos to pounds
            100 fahrenheit in celsius
            how many grams are in an ounce
            ilang kilometro ang 10 milya
            ilang gramo ang isang kilo
            i-convert mo ang 5 feet sa metro
            what is 2 litres in cups
        """),
    ),
    Intent(
        "date_question",
        "ModelOrchestrator",
        _lines("""
            what date is 45 days after 1 May
            what day is it today
            how many days until Christmas
            what time is it
            what is the date tomorrow
            what day of the week is 4 July
            anong petsa ngayon
            anong araw bukas
            anong oras na
            ilang araw bago mag Pasko
        """),
    ),
    Intent(
        "question",
        "ModelOrchestrator",
        _lines("""
            what is the capital of France
            who wrote Noli Me Tangere
            why is the sky blue
            how does a refrigerator work
            when did the second world war end
            explain how photosynthesis works
            which planet is the largest
            what does serendipity mean
            ano ang kabisera ng Japan
            sino ang bayani ng Mactan
            bakit maalat ang dagat
            paano gumagana ang eroplano
            ipaliwanag mo ang grabidad
            ano ang ibig sabihin ng kalayaan
        """),
    ),
    Intent(
        "write",
        "ModelOrchestrator",
        _lines("""
            write a poem about the sea
            compose an email to my landlord
            tell me a story about a dragon
            summarise this article for me
            draft a speech for graduation
            sumulat ka ng tula tungkol sa ulan
            gumawa ka ng kwento
            gawan mo ako ng sulat
        """),
    ),
    Intent(
        "code",
        "CodeGenerator",
        _lines("""
            write a python function that sorts a list
            fix this javascript code
            generate a bash script that renames files
            debug my program
            write a sql query for all users
            gumawa ka ng python script
            i-debug mo ang code ko
        """),
    ),
    Intent(
        "translate",
        "TranslationService",
        _lines("""
            translate good morning to Spanish
            how do you say thank you in Japanese
            what is water in French
            translate this sentence into English
            isalin mo sa Ingles ang mahal kita
            ano sa Tagalog ang butterfly
            i-translate mo ito sa Filipino
        """),
    ),
    Intent(
        "web_search",
        "UnifiedWebAgent",
        _lines("""
            search the web for cheap flights
            google the best phones of this year
            look up the news online
            what is the weather in Manila today
            find a recipe on the internet
            hanapin mo sa internet ang presyo ng bigas
            i-google mo nga ang iskor ng laro
            ano ang balita ngayon sa internet
            ano ang lagay ng panahon bukas
        """),
    ),
    Intent(
        "command",
        "AdvancedCommandHandler",
        _lines("""
            open the browser
            close the window
            turn off the lights
            play some music
            delete the file report.txt
            shut down the computer
            increase the volume
            run the backup script
            buksan mo ang ilaw
            patayin mo ang kompyuter
            magpatugtog ka ng musika
            isara mo ang pinto
            lakasan mo ang tunog
            i-open mo ang file
        """),
    ),
    Intent(
        "confirm",
        "IntentionValidatorAgent",
        _lines("""
            yes
            yes please
            go ahead
            sure do it
            oo
            opo
            sige
            oo ituloy mo
        """),
    ),
    Intent(
        "deny",
        "IntentionValidatorAgent",
        _lines("""
            no
            no thanks
            do not do that
            never mind
            hindi
            huwag na
            ayaw ko
            wag mong gawin
        """),
    ),
    Intent(
        "stop",
        "RequestCoordinator",
        _lines("""
            stop
            stop talking
            cancel that
            be quiet
            shut up
            tumigil ka
            tama na
            tahimik
            hinto
        """),
    ),
)
"""Every shipped intent."""

SERVED_BY: dict[str, str] = {intent.name: intent.agent for intent in INTENTS}


def served_by(intent: str) -> str:
    """The agent that serves an intent; those taught later go to ModelOrchestrator."""
    return SERVED_BY.get(intent, "ModelOrchestrator")
