"""What the API refuses by itself, in words; what call control refuses is in ``calls/refusals.py``.

The ids are the ``error_id`` of answers and never change. Which HTTP status each has is in ``statuses.py``.
"""

from __future__ import annotations

from parkade.calls.refusals import Refusal

NOT_SIGNED_IN = Refusal(
    "not_signed_in",
    "You are not signed in, or no longer.",
    "Bạn chưa đăng nhập hoặc phiên đã hết hạn.",
    "Log in, or send a token that is valid in the Authorization header.",
    "Hãy đăng nhập, hoặc gửi token còn hiệu lực trong header Authorization.",
)
BAD_LOGIN = Refusal(
    "bad_login",
    "The login or the password is wrong.",
    "Tên đăng nhập hoặc mật khẩu không đúng.",
    "Check both; an administrator can set a new password.",
    "Kiểm tra lại cả hai; quản trị viên có thể đặt mật khẩu mới.",
)
WRONG_PASSWORD = Refusal(
    "wrong_password",
    "The present password is wrong.",
    "Mật khẩu hiện tại không đúng.",
    "Type it again; an administrator can set a new one.",
    "Hãy nhập lại; quản trị viên có thể đặt mật khẩu mới.",
)
NOT_ALLOWED = Refusal(
    "not_allowed",
    "You may not do this.",
    "Bạn không có quyền làm việc này.",
    "Ask your administrator.",
    "Hãy hỏi quản trị viên của bạn.",
)
SCOPE_MISSING = Refusal(
    "scope_missing",
    "The token was not given the scope {scope}.",
    "Token này không có phạm vi {scope}.",
    "Make a token with that scope.",
    "Hãy tạo token có phạm vi đó.",
)
CROSS_SITE = Refusal(
    "cross_site",
    "The request comes from another web site.",
    "Yêu cầu đến từ một trang web khác.",
    "Use the portal of this server, or a token in the Authorization header.",
    "Hãy dùng cổng của máy chủ này, hoặc gửi token trong header Authorization.",
)
NOT_FOUND = Refusal(
    "not_found",
    "There is no such thing here.",
    "Không tìm thấy.",
    "Check the address and the id.",
    "Kiểm tra lại địa chỉ và mã định danh.",
)
METHOD_NOT_ALLOWED = Refusal(
    "method_not_allowed",
    "That cannot be done with this address.",
    "Không thể làm việc đó với địa chỉ này.",
    "Look at the Allow header, or at /openapi.json.",
    "Xem header Allow hoặc /openapi.json.",
)
BAD_REQUEST = Refusal(
    "bad_request",
    "The request cannot be read.",
    "Không đọc được yêu cầu.",
    "Send JSON in UTF-8, without NUL characters.",
    "Hãy gửi JSON bằng UTF-8, không có ký tự NUL.",
)
INVALID_REQUEST = Refusal(
    "invalid_request",
    "Something in the request is not as it must be.",
    "Có phần trong yêu cầu không hợp lệ.",
    "See errors: each names the place and the reason.",
    "Xem errors: mỗi mục nêu vị trí và lý do.",
)
BAD_CURSOR = Refusal(
    "bad_cursor",
    "The cursor is none that this list has given.",
    "Con trỏ không phải do danh sách này cấp.",
    "Begin without a cursor.",
    "Hãy bắt đầu lại mà không có con trỏ.",
)
TOO_LARGE = Refusal(
    "too_large",
    "The request is too large.",
    "Yêu cầu quá lớn.",
    "Send less at a time.",
    "Hãy gửi ít hơn mỗi lần.",
)
ACCOUNT_NEEDED = Refusal(
    "account_needed",
    "It must be said which account is meant.",
    "Cần cho biết tài khoản nào.",
    "Add ?account=SLUG to the address.",
    "Thêm ?account=SLUG vào địa chỉ.",
)
CHANGED_MEANWHILE = Refusal(
    "changed_meanwhile",
    "It was changed by somebody else meanwhile.",
    "Người khác vừa thay đổi nội dung này.",
    "Read it again, and decide again.",
    "Hãy đọc lại rồi quyết định lại.",
)
UPDATE_NEEDED = Refusal(
    "update_needed",
    "This app is too old: please update to {version} or later.",
    "Ứng dụng đã quá cũ: vui lòng cập nhật lên {version} trở lên.",
    "Update the app.",
    "Hãy cập nhật ứng dụng.",
)
TOO_MANY_REQUESTS = Refusal(
    "too_many_requests",
    "Too many requests in a short time.",
    "Quá nhiều yêu cầu trong thời gian ngắn.",
    "Wait for as many seconds as the Retry-After header says.",
    "Hãy chờ số giây ghi trong header Retry-After.",
)
IDEMPOTENCY_KEY_REUSED = Refusal(
    "idempotency_key_reused",
    "This Idempotency-Key was used for another request.",
    "Idempotency-Key này đã dùng cho một yêu cầu khác.",
    "Use a new key for a new request.",
    "Dùng khóa mới cho yêu cầu mới.",
)
IDEMPOTENCY_UNDER_WAY = Refusal(
    "idempotency_under_way",
    "The request with this Idempotency-Key is still under way.",
    "Yêu cầu với Idempotency-Key này vẫn đang được thực hiện.",
    "Ask again in a moment with the same key.",
    "Hãy hỏi lại sau giây lát với cùng khóa.",
)
DIRECTORY_REFUSED = Refusal(
    "directory_refused",
    "The directory would not be right with that.",
    "Danh bạ sẽ không hợp lệ nếu làm như vậy.",
    "See errors: each names the place and the reason.",
    "Xem errors: mỗi mục nêu vị trí và lý do.",
)
ALREADY_THERE = Refusal(
    "already_there",
    "There is one of that name already.",
    "Đã có mục mang tên này.",
    "Choose another name, or change the one that is there.",
    "Chọn tên khác, hoặc sửa mục đã có.",
)
NEEDS_PARTY = Refusal(
    "needs_party",
    "It must be said who of the call is meant.",
    "Cần cho biết ai trong cuộc gọi.",
    "Send the extension of one who is in the call as by.",
    "Gửi số máy nhánh của người đang trong cuộc gọi ở trường by.",
)
NEEDS_DEVICE = Refusal(
    "needs_device",
    "It must be said which phone is to ring.",
    "Cần cho biết máy nào sẽ đổ chuông.",
    "Send the username of a phone as device.",
    "Gửi tên thiết bị ở trường device.",
)
TARGET_REFUSED = Refusal(
    "target_refused",
    "Nothing can be sent to that address.",
    "Không thể gửi đến địa chỉ đó.",
    "See errors for the reason. A network of your own must be allowed by the setting webhook-private-targets.",
    "Xem errors để biết lý do. Mạng nội bộ phải được cho phép bằng thiết lập webhook-private-targets.",
)
TOO_MANY_WEBHOOKS = Refusal(
    "too_many_webhooks",
    "An account has at most {count} webhooks.",
    "Một tài khoản có tối đa {count} webhook.",
    "Remove one that is not used.",
    "Hãy xóa webhook không dùng đến.",
)
WEBHOOK_OFF = Refusal(
    "webhook_off",
    "The webhook is switched off.",
    "Webhook này đang tắt.",
    "Switch it on first.",
    "Hãy bật nó lên trước.",
)
EVENT_GONE = Refusal(
    "event_gone",
    "There is no such event, or it is so old that it was removed.",
    "Không có sự kiện này, hoặc nó đã quá cũ và bị xóa.",
    "Ask for a newer one, or begin without one; the history of parked calls goes back further.",
    "Hãy yêu cầu sự kiện mới hơn, hoặc bắt đầu mà không nêu sự kiện; lịch sử đỗ cuộc gọi được lưu lâu hơn.",
)
INTERNAL_ERROR = Refusal(
    "internal_error",
    "The server has made a mistake.",
    "Máy chủ gặp lỗi.",
    "Try again; if it stays, tell the administrator the time. Calls are not touched by it.",
    "Hãy thử lại; nếu vẫn lỗi, báo quản trị viên thời điểm xảy ra. Các cuộc gọi không bị ảnh hưởng.",
)
SIGNALLING_AWAY = Refusal(
    "signalling_away",
    "The part that handles calls does not answer just now.",
    "Bộ phận xử lý cuộc gọi tạm thời không trả lời.",
    "Look at the state of the call, then try again in a few seconds.",
    "Kiểm tra trạng thái cuộc gọi rồi thử lại sau vài giây.",
)
DATABASE_AWAY = Refusal(
    "database_away",
    "The database cannot be used just now.",
    "Hiện không dùng được cơ sở dữ liệu.",
    "Try again in a few seconds. Calls go on.",
    "Hãy thử lại sau vài giây. Các cuộc gọi vẫn tiếp tục.",
)
