"""Every sentence that the agent says, in English and Spanish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from broker.protocol import EndReason, Language, MediaFailure, Refusal


def _both(english: str, spanish: str) -> tuple[str, str]:
    return english, spanish


_TABLE: Final[dict[str, tuple[str, str]]] = {
    # ── start ────────────────────────────────────────────────────────────────
    "start.connecting": _both(
        "connecting to {broker}",
        "conectando con {broker}",
    ),
    "start.facts": _both(
        "a technician who enters your code is told: computer {host}, user {user}, "
        "{system}, screen {display}, {agent}",
        "a quien introduzca tu código se le dice: equipo {host}, usuario {user}, "
        "{system}, pantalla {display}, {agent}",
    ),
    "start.nothing_shown": _both(
        "nobody sees your screen unless you say yes; h and Enter shows what you can type",
        "nadie ve tu pantalla si no dices que sí; h e Intro muestra lo que puedes escribir",
    ),
    # ── codes ────────────────────────────────────────────────────────────────
    "code": _both("code: {digits}", "code: {digits}"),  # the same for programs that read it
    "code.read_it_out": _both(
        "read this code out to your technician; it works once, for {minutes} min",
        "dicta este código a tu técnico; sirve una vez, durante {minutes} min",
    ),
    "code.expired": _both(
        "the code has expired; n and Enter asks for a new one",
        "el código ha caducado; n e Intro pide otro",
    ),
    "code.used": _both(
        "the code was entered; it does not work again",
        "el código se ha introducido; ya no sirve más",
    ),
    "code.burned": _both(
        "somebody entered the code wrongly three times, so it no longer works; "
        "n and Enter asks for a new one",
        "alguien introdujo mal el código tres veces y ya no sirve; n e Intro pide otro",
    ),
    "code.wanted": _both("asking for a new code", "pidiendo otro código"),
    # ── consent ──────────────────────────────────────────────────────────────
    "ask.see": _both(
        "allow {name} ({organisation}) to see your screen? [y/N] ",
        "¿permitir que {name} ({organisation}) vea tu pantalla? [s/N] ",
    ),
    "ask.again": _both(
        "please answer y for yes, or Enter for no",
        "responde s para sí, o Intro para no",
    ),
    "ask.withdrawn": _both(
        "the question about {name} no longer stands",
        "la pregunta sobre {name} ya no está en pie",
    ),
    "ask.none": _both("nothing is being asked now", "ahora no se pregunta nada"),
    "answered.yes": _both(
        "you allowed {name} to see your screen", "permitiste que {name} vea tu pantalla"
    ),
    "answered.no": _both("you did not allow {name}", "no permitiste a {name}"),
    # ── who sees ─────────────────────────────────────────────────────────────
    "watching.now": _both(
        "{names} can see your screen now; q and Enter stops it",
        "{names} puede ver tu pantalla ahora; q e Intro lo detiene",
    ),
    "watching.still": _both(
        "{names} can still see your screen; q and Enter stops it",
        "{names} sigue pudiendo ver tu pantalla; q e Intro lo detiene",
    ),
    "watching.nobody": _both("nobody sees your screen now", "nadie ve tu pantalla ahora"),
    "and": _both(" and ", " y "),
    "somebody": _both("somebody without a name", "alguien sin nombre"),
    "joined": _both("{name} is connected", "{name} está en línea"),
    "away": _both(
        "the connection of {name} is down; they may come back",
        "la conexión de {name} se cortó; puede volver",
    ),
    "left": _both("{name} has left", "{name} se ha ido"),
    "dismissed": _both("you sent {name} away", "despediste a {name}"),
    "dismiss.nobody": _both("there is nobody to send away", "no hay a quién despedir"),
    "dismiss.which": _both(
        "send whom away? type the number, or Enter for nobody",
        "¿a quién despides? escribe el número, o Intro para nadie",
    ),
    "dismiss.choice": _both(
        "  {number}  {name} ({organisation})", "  {number}  {name} ({organisation})"
    ),
    # ── chat ─────────────────────────────────────────────────────────────────
    "chat.theirs": _both("{name}: {text}", "{name}: {text}"),
    "chat.sent": _both("you: {text}", "tú: {text}"),
    "chat.waiting": _both(
        "not sent yet, it goes out when the connection is back: {text}",
        "aún sin enviar, saldrá cuando vuelva la conexión: {text}",
    ),
    "chat.failed": _both("NOT SENT: {text} ({why})", "NO ENVIADO: {text} ({why})"),
    "chat.nobody": _both(
        "nobody is here to read that; h and Enter shows what you can type",
        "no hay nadie que lo lea; h e Intro muestra lo que puedes escribir",
    ),
    "chat.too_long": _both(
        "that text is longer than {limit} characters; send it in parts",
        "ese texto tiene más de {limit} caracteres; envíalo por partes",
    ),
    "chat.too_many": _both(
        "too many texts wait to be sent",
        "hay demasiados textos por enviar",
    ),
    # ── links ────────────────────────────────────────────────────────────────
    "link.up": _both("connected to the broker", "conectado con el servidor"),
    "link.resumed": _both(
        "connected again; the session goes on", "conectado de nuevo; la sesión sigue"
    ),
    "link.new_session": _both(
        "connected again, but the session before is over; this is a new one",
        "conectado de nuevo, pero la sesión anterior terminó; esta es nueva",
    ),
    "link.down": _both(
        "the connection to the broker is lost; your screen is not sent; trying again",
        "se perdió la conexión con el servidor; tu pantalla no se envía; reintentando",
    ),
    "link.unreachable": _both(
        "cannot reach the broker at {broker} ({cause}); check the address and that it is running",
        "no se alcanza el servidor en {broker} ({cause}); comprueba la dirección y que funcione",
    ),
    "link.over": _both(
        "the broker did not come back in {seconds} s ({cause}), so the session is over; "
        "start again to get a new code",
        "el servidor no volvió en {seconds} s ({cause}), así que la sesión terminó; "
        "vuelve a empezar para obtener otro código",
    ),
    "link.version": _both(
        "this agent speaks version {ours} of the language, the broker version {theirs}; "
        "install the agent that belongs to the broker",
        "este agente habla la versión {ours} del lenguaje, el servidor la {theirs}; "
        "instala el agente que corresponde al servidor",
    ),
    "link.bad_language": _both(
        "what answers at {broker} is not an Ayuda broker of this version ({cause})",
        "lo que responde en {broker} no es un servidor Ayuda de esta versión ({cause})",
    ),
    "link.certificate": _both(
        "the certificate of {broker} is not trusted ({cause}); if it is your own, give its "
        "authority with --ca FILE",
        "el certificado de {broker} no es de confianza ({cause}); si es propio, da su "
        "autoridad con --ca ARCHIVO",
    ),
    "link.refused": _both("the broker refused: {why}", "el servidor se negó: {why}"),
    # ── media ────────────────────────────────────────────────────────────────
    "picture.up": _both("the picture connection is up", "la conexión de imagen funciona"),
    "media.said": _both("{what}", "{what}"),
    "media.said_why": _both("{what} ({why})", "{what} ({why})"),
    # ── ends ─────────────────────────────────────────────────────────────────
    "end.said": _both("ended: {why}", "fin: {why}"),
    "end.said_by": _both("ended: {why} ({name})", "fin: {why} ({name})"),
    "end.you": _both("you ended the session", "terminaste la sesión"),
    "end.no_input": _both(
        "nobody can answer here any more (standard input is closed), so the session ends",
        "ya nadie puede responder aquí (se cerró la entrada estándar), así que la sesión termina",
    ),
    "end.signal": _both(
        "told to stop, so the session ends", "se pidió parar, así que la sesión termina"
    ),
    # ── what can be typed ────────────────────────────────────────────────────
    "help": _both(
        "q ends the session    n asks for a new code    d sends a technician away\n"
        "w shows who is watching    h shows this    any other text is sent as a message",
        "q termina la sesión    n pide otro código    d despide a un técnico\n"
        "w muestra quién mira    h muestra esto    cualquier otro texto se envía como mensaje",
    ),
    "unknown": _both(
        "{command} is not a command; h and Enter shows what you can type",
        "{command} no es una orden; h e Intro muestra lo que puedes escribir",
    ),
    # ── usage ────────────────────────────────────────────────────────────────
    "usage.url": _both(
        "--broker {url}: give an address such as https://help.example.org or http://127.0.0.1:8080",
        "--broker {url}: da una dirección como https://ayuda.example.org o http://127.0.0.1:8080",
    ),
    "usage.plain_http": _both(
        "--broker {url}: without TLS your code and what is said could be read and changed on the "
        "way, so http is for this computer alone; use https",
        "--broker {url}: sin TLS tu código y lo que se diga podría leerse y cambiarse por el "
        "camino, así que http es solo para este equipo; usa https",
    ),
    "usage.ca": _both(
        "--ca {file}: cannot be read as PEM certificates ({cause})",
        "--ca {file}: no se puede leer como certificados PEM ({cause})",
    ),
    "usage.state": _both(
        "the device key in {file} cannot be used: {cause}",
        "la clave del equipo en {file} no se puede usar: {cause}",
    ),
    "usage.display": _both(
        "the screen cannot be read: {cause}; set DISPLAY or give --display",
        "no se puede leer la pantalla: {cause}; define DISPLAY o da --display",
    ),
    "usage.wayland": _both(
        "this desktop runs Wayland, whose screen this version cannot read; "
        "log in to an X11 (Xorg) session",
        "este escritorio usa Wayland, cuya pantalla esta versión no puede leer; "
        "entra en una sesión X11 (Xorg)",
    ),
    # ── MediaFailure ─────────────────────────────────────────────────────────
    "media.no-udp": _both(
        "no picture can be sent: UDP does not reach the broker; ask whoever runs your network or "
        "the broker to open its UDP port",
        "no se puede enviar la imagen: UDP no llega al servidor; pide a quien lleve tu red o el "
        "servidor que abra su puerto UDP",
    ),
    "media.lost": _both(
        "the picture connection is lost; your screen is not sent; it is being made again",
        "se perdió la conexión de imagen; tu pantalla no se envía; se está rehaciendo",
    ),
    "media.no-codec": _both(
        "no picture can be sent: agent and broker share no video format; update both",
        "no se puede enviar la imagen: agente y servidor no comparten formato; actualiza ambos",
    ),
    "media.capture": _both(
        "the screen can no longer be read, so nothing is sent",
        "ya no se puede leer la pantalla, así que no se envía nada",
    ),
    # ── EndReason ────────────────────────────────────────────────────────────
    "ended.person-ended": _both("you ended the session", "terminaste la sesión"),
    "ended.technician-ended": _both(
        "the technician ended the session",
        "el técnico terminó la sesión",
    ),
    "ended.technicians-left": _both(
        "no technician is left in the session",
        "no queda ningún técnico en la sesión",
    ),
    "ended.declined": _both(
        "you did not allow it; start again if you want help after all",
        "no lo permitiste; vuelve a empezar si al final quieres ayuda",
    ),
    "ended.not-answered": _both(
        "the question was not answered in time; start again to get a new code",
        "la pregunta no se respondió a tiempo; vuelve a empezar para obtener otro código",
    ),
    "ended.nobody-came": _both(
        "no technician entered the code in time; start again to get a new one",
        "ningún técnico introdujo el código a tiempo; vuelve a empezar para obtener otro",
    ),
    "ended.person-lost": _both(
        "your connection did not come back in time; start again to get a new code",
        "tu conexión no volvió a tiempo; vuelve a empezar para obtener otro código",
    ),
    "ended.technician-lost": _both(
        "the technician's connection did not come back in time; start again to get a new code",
        "la conexión del técnico no volvió a tiempo; vuelve a empezar para obtener otro código",
    ),
    "ended.log-failed": _both(
        "the broker could not write its record, and without one there is no session; "
        "tell whoever runs it",
        "el servidor no pudo escribir su registro, y sin él no hay sesión; avisa a quien lo lleve",
    ),
    "ended.broker-stopped": _both(
        "the broker was stopped; start again later",
        "el servidor se detuvo; vuelve a empezar más tarde",
    ),
    "ended.broker-killed": _both(
        "the broker was interrupted; start again to get a new code",
        "el servidor se interrumpió; vuelve a empezar para obtener otro código",
    ),
    # ── Refusal ──────────────────────────────────────────────────────────────
    "refused.bad-message": _both(
        "it did not understand a message; update the agent",
        "no entendió un mensaje; actualiza el agente",
    ),
    "refused.bad-proof": _both(
        "this device could not prove its key; remove the key file to make a new one",
        "este equipo no pudo probar su clave; borra el archivo de la clave para crear otra",
    ),
    "refused.version": _both(
        "agent and broker are of different versions; install the agent that belongs to the broker",
        "agente y servidor son de versiones distintas; instala el agente que corresponde",
    ),
    "refused.sign-in": _both("sign in first", "primero hay que iniciar sesión"),
    "refused.bad-link": _both(
        "the sign-in link does not work any more; ask for a new one",
        "el enlace de inicio ya no sirve; pide otro",
    ),
    "refused.origin": _both(
        "the request came from another site; use the broker's own address",
        "la petición vino de otro sitio; usa la dirección del propio servidor",
    ),
    "refused.not-found": _both("that does not exist", "eso no existe"),
    "refused.not-allowed": _both("that is not allowed now", "eso no está permitido ahora"),
    "refused.wrong-code": _both("the code is wrong", "el código es incorrecto"),
    "refused.code-expired": _both("the code has expired", "el código ha caducado"),
    "refused.code-used": _both("the code was used already", "el código ya se usó"),
    "refused.code-burned": _both(
        "the code was entered wrongly too often",
        "el código se introdujo mal demasiadas veces",
    ),
    "refused.too-many-tries": _both(
        "too many tries; wait a few minutes",
        "demasiados intentos; espera unos minutos",
    ),
    "refused.session-over": _both("the session is over", "la sesión ha terminado"),
    "refused.busy": _both(
        "it has too much to do; try again in a minute",
        "está sobrecargado; inténtalo en un minuto",
    ),
    "refused.replaced": _both(
        "another agent of this device has taken over; go on there",
        "otro agente de este equipo ha tomado el relevo; sigue allí",
    ),
    "refused.too-slow": _both(
        "this device did not read what was sent to it in time",
        "este equipo no leyó a tiempo lo que se le envió",
    ),
    "refused.no-common-codec": _both(
        "agent and broker share no video format; update both",
        "agente y servidor no comparten formato de vídeo; actualiza ambos",
    ),
    "refused.bad-offer": _both(
        "it did not understand the picture connection; update the agent",
        "no entendió la conexión de imagen; actualiza el agente",
    ),
    "refused.log-failed": _both(
        "it could not write its record; tell whoever runs it",
        "no pudo escribir su registro; avisa a quien lo lleve",
    ),
    "refused.stopping": _both("it is being stopped", "se está deteniendo"),
}

YES: Final[Mapping[Language, frozenset[str]]] = {
    "en": frozenset({"y", "yes"}),
    "es": frozenset({"s", "sí", "si", "y"}),
}
"""What counts as a yes, in lower case."""

NO: Final = frozenset({"", "n", "no"})
"""What counts as a no, in lower case; all else is asked again."""


class Texts:
    """The sentences of one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._column = 1 if language == "es" else 0

    def __call__(self, key: str, /, **values: object) -> str:
        """The sentence called `key`, with its blanks filled."""
        return _TABLE[key][self._column].format(**values)

    def ended(self, reason: EndReason) -> str:
        """Why a session ended."""
        return self(f"ended.{reason.value}")

    def refused(self, reason: Refusal) -> str:
        """Why the broker would not do something."""
        return self(f"refused.{reason.value}")

    def media(self, failure: MediaFailure) -> str:
        """What is wrong with the media connection."""
        return self(f"media.{failure.value}")

    def yes(self, answer: str) -> bool | None:
        """What an answer means; None if it is neither yes nor no."""
        word = answer.strip().casefold()
        if word in YES[self.language]:
            return True
        return False if word in NO else None


def language_of(environment: Mapping[str, str]) -> Language:
    """The language that the environment asks for (POSIX §8.2: LC_ALL first)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name)
        if value:
            return "es" if value.lower().startswith("es") else "en"
    return "en"


def keys() -> Mapping[str, tuple[str, str]]:
    """The whole table, for the tests."""
    return _TABLE
