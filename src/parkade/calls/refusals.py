"""Every refusal a person can meet: a stable id, a text in both languages, and what to do.

The ids reach phones in ``Warning`` and ``Reason`` headers and never change. ``{name}`` and ``{code}`` in a text are filled in
by ``Refusal.with_``. What status a phone sees is the switch's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done, in words."""

    id: str
    en: str
    vi: str
    what_to_do: str
    what_to_do_vi: str

    def with_(self, **values: str) -> Refusal:
        """The same refusal with the blanks of its texts filled in."""
        return replace(self, en=self.en.format(**values), vi=self.vi.format(**values))


NO_SUCH_NUMBER = Refusal(
    "no_such_number",
    "There is no such number here.",
    "Không có số này.",
    "Check the number and dial again.",
    "Kiểm tra lại số rồi gọi lại.",
)
NO_CALL_PARKED = Refusal(
    "no_call_parked",
    "No call is parked at {code}.",
    "Không có cuộc gọi nào được đỗ tại {code}.",
    "Check the code; the caller may have hung up, or the code may have expired.",
    "Kiểm tra lại mã; có thể người gọi đã gác máy hoặc mã đã hết hạn.",
)
ALREADY_PICKED_UP = Refusal(
    "already_picked_up",
    "Already picked up by {name}.",
    "{name} đã nhận cuộc gọi này.",
    "Nothing: the caller is being served.",
    "Bạn không cần làm gì: đã có người tiếp chuyện người gọi.",
)
NOTHING_TO_GIVE_BACK = Refusal(
    "nothing_to_give_back",
    "You have no call that could go back to {code}.",
    "Bạn không có cuộc gọi nào có thể trả lại mã {code}.",
    "Give back while you talk and the code is still kept. Later park the call again, or transfer it.",
    "Chỉ trả lại được khi bạn còn đang nói chuyện và mã vẫn đang được giữ. Nếu không, hãy đỗ lại hoặc chuyển cuộc gọi.",
)
LOT_FULL = Refusal(
    "lot_full",
    "Every parking code is in use.",
    "Tất cả mã đỗ đang được dùng.",
    "Wait for a code to become free, or transfer.",
    "Chờ có mã trống, hoặc chuyển cuộc gọi cho người khác.",
)
SLOT_TAKEN = Refusal(
    "slot_taken",
    "Another call is parked at {code}.",
    "Đã có cuộc gọi khác tại {code}.",
    "Choose another code, or park to any.",
    "Chọn mã khác, hoặc để hệ thống tự chọn mã.",
)
SLOT_RESERVED = Refusal(
    "slot_reserved",
    "{code} is reserved for a call that was just picked up.",
    "{code} đang được giữ cho cuộc gọi vừa được nhận.",
    "Choose another code, or park to any.",
    "Chọn mã khác, hoặc để hệ thống tự chọn mã.",
)
NOTHING_TO_PARK = Refusal(
    "nothing_to_park",
    "You have no call to park.",
    "Bạn không có cuộc gọi nào để đỗ.",
    "Hold or answer a call first.",
    "Hãy trả lời hoặc giữ máy một cuộc gọi trước.",
)
NO_SUCH_SLOT = Refusal(
    "no_such_slot",
    "{code} is not a parking code here.",
    "{code} không phải là mã đỗ.",
    "Use a code of your own lot.",
    "Dùng một mã của bãi đỗ nơi bạn làm việc.",
)
PARKING_DISABLED = Refusal(
    "parking_disabled",
    "Call park is switched off.",
    "Tính năng đỗ cuộc gọi đã tắt.",
    "Ask your administrator.",
    "Hãy hỏi quản trị viên.",
)
NOT_LICENSED = Refusal(
    "not_licensed",
    "This extension has no phone licence.",
    "Máy nhánh này chưa có giấy phép.",
    "Ask your administrator.",
    "Hãy hỏi quản trị viên.",
)
BUSY = Refusal("busy", "The line is busy.", "Máy bận.", "Call again later.", "Hãy gọi lại sau.")
DECLINED = Refusal("declined", "The call was declined.", "Cuộc gọi bị từ chối.", "Call again later.", "Hãy gọi lại sau.")
NO_ANSWER = Refusal("no_answer", "Nobody answered.", "Không có người trả lời.", "Call again later.", "Hãy gọi lại sau.")
ALREADY_ANSWERED = Refusal(
    "already_answered",
    "That call was answered already.",
    "Cuộc gọi đó đã có người trả lời.",
    "Nothing: it is being served.",
    "Bạn không cần làm gì: đã có người tiếp chuyện.",
)
NOT_REGISTERED = Refusal(
    "not_registered",
    "No phone is registered there.",
    "Không có máy nào đang kết nối.",
    "Check that the phone is switched on.",
    "Kiểm tra xem máy đã bật và có mạng chưa.",
)
UNREACHABLE = Refusal(
    "unreachable",
    "The phone is registered but does not answer on the network.",
    "Máy đã đăng ký nhưng không phản hồi qua mạng.",
    "Check the phone's network, or restart it.",
    "Kiểm tra mạng của máy, hoặc khởi động lại máy.",
)
PHONE_ERROR = Refusal(
    "phone_error",
    "The phone could not take the call.",
    "Máy không nhận được cuộc gọi.",
    "Restart the phone or check its settings.",
    "Khởi động lại máy hoặc kiểm tra cài đặt của máy.",
)
FORBIDDEN = Refusal(
    "forbidden_by_phone",
    "The phone does not allow this call.",
    "Máy không cho phép cuộc gọi này.",
    "Check the phone's list of allowed callers.",
    "Kiểm tra danh sách số được phép gọi đến trên máy.",
)
UNKNOWN_TO_PHONE = Refusal(
    "unknown_to_phone",
    "The phone does not know the number it was called by.",
    "Máy không nhận ra số được gọi.",
    "Check the phone's line settings.",
    "Kiểm tra cài đặt đường dây trên máy.",
)
FORWARDED_OUTSIDE = Refusal(
    "forwarded_outside",
    "The phone forwards to a number outside.",
    "Máy chuyển tiếp cuộc gọi ra số bên ngoài.",
    "Call that number, or switch forwarding off on the phone.",
    "Gọi thẳng số đó, hoặc tắt chuyển tiếp trên máy.",
)
FORWARDED_IN_VAIN = Refusal(
    "forwarded_in_vain",
    "The phone forwards the call to where it cannot go.",
    "Máy chuyển tiếp cuộc gọi đến nơi không thể nhận.",
    "Check the forwarding of the phones: they may forward to each other.",
    "Kiểm tra cài đặt chuyển tiếp của các máy: có thể chúng đang chuyển tiếp cho nhau.",
)
NO_SUCH_DEVICE = Refusal(
    "no_such_device",
    "There is no such phone here.",
    "Không có máy này.",
    "Choose one of your own phones.",
    "Chọn một trong các máy của bạn.",
)
NOBODY_PARKED_IT = Refusal(
    "nobody_parked_it",
    "Nobody parked that call.",
    "Không có ai đỗ cuộc gọi này.",
    "Retrieve it, or leave it to its deadline.",
    "Hãy nhận cuộc gọi, hoặc để yên cho đến hết thời hạn đỗ.",
)
NO_SUCH_CALL = Refusal(
    "no_such_call",
    "That call is over.",
    "Cuộc gọi đó đã kết thúc.",
    "Nothing: it has ended.",
    "Bạn không cần làm gì: cuộc gọi đã kết thúc.",
)
INCOMPATIBLE = Refusal(
    "incompatible",
    "The phones share no audio codec.",
    "Hai máy không có chung bộ mã hóa âm thanh.",
    "Enable G.711 on the phone.",
    "Bật G.711 trên máy.",
)
TRANSFER_IMPOSSIBLE = Refusal(
    "transfer_impossible",
    "There is nobody to transfer.",
    "Không có ai để chuyển.",
    "Answer a call first.",
    "Hãy trả lời một cuộc gọi trước.",
)
NO_CAPACITY = Refusal(
    "no_capacity",
    "The system has no free line.",
    "Hệ thống không còn đường dây trống.",
    "Try again; tell your administrator.",
    "Hãy thử lại và báo cho quản trị viên.",
)

# Settings

NO_SUCH_EXTENSION = Refusal(
    "no_such_extension",
    "There is no extension {extension}.",
    "Không có máy nhánh {extension}.",
    "Choose an extension of this account.",
    "Hãy chọn một máy nhánh của tài khoản này.",
)
FORWARD_TO_MISSING = Refusal(
    "forward_to_missing",
    "Action {action} needs forward_to.",
    "Hành động {action} cần có forward_to.",
    "Say where the call is to go, or choose another action.",
    "Hãy cho biết cuộc gọi sẽ chuyển đến đâu, hoặc chọn hành động khác.",
)
PARK_KEYS_NEED_SEQUENTIAL = Refusal(
    "park_keys_need_sequential",
    "Device {device} has a park key for {code}: park keys need Sequential, and {level_en} says Random.",
    "Thiết bị {device} có phím đỗ cho {code}: phím đỗ cần chế độ Tuần tự, mà {level_vi} đang chọn Ngẫu nhiên.",
    "Choose Sequential, or take the park keys off the phone first.",
    "Hãy chọn Tuần tự, hoặc bỏ các phím đỗ khỏi máy trước.",
)
RESET_AT_ACCOUNT = Refusal(
    "reset_at_account",
    "Reset is for the levels below the account.",
    "Chỉ các cấp dưới tài khoản mới đặt lại được.",
    "Set each value of the account to what you want.",
    "Hãy đặt từng giá trị của tài khoản như bạn muốn.",
)
SETTINGS_LOCKED = Refusal(
    "settings_locked",
    "These settings are locked by {level_en}.",
    "Các thiết lập này bị khóa bởi {level_vi}.",
    "Ask whoever may change the settings there to unlock them.",
    "Hãy nhờ người có quyền thay đổi ở cấp đó mở khóa.",
)
UNKNOWN_SETTING = Refusal(
    "unknown_setting",
    "There is no setting {key}.",
    "Không có thiết lập {key}.",
    "Use one of the settings that are shown when you read them.",
    "Hãy dùng một trong các thiết lập hiện ra khi đọc.",
)
INVALID_SETTING = Refusal(
    "invalid_setting",
    "{key} must be {wanted_en}.",
    "{key} phải là {wanted_vi}.",
    "Correct the value and try again.",
    "Hãy sửa giá trị rồi thử lại.",
)
