"""A script as administrators have them, written from the published interface of another service: it reads and sets Call Park of
an account, a site, a user and a common area. Nothing in it knows of Parkade. ``python call_park_script.py BASE_URL TOKEN``
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any

PERIODS = [*range(1, 11), 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]
ACTIONS = {100: "ring back to parker", 0: "voicemail of the parker", 9: "disconnect", 50: "another extension"}


def request(method: str, path: str, body: Any = None) -> Any:
    base, token = sys.argv[1].rstrip("/"), sys.argv[2]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers, method=method)) as answer:
        text = answer.read()
        if method == "PATCH":
            assert answer.status == 204, answer.status
        return json.loads(text) if text else None


def every(path: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = request("GET", f"{path}?page_size=2" + (f"&next_page_token={token}" if token else ""))
        assert page["page_size"] == 2
        found += page[key]
        token = page["next_page_token"]
        if not token:
            assert page["total_records"] == len(found)
            return found


def show(what: str, park: dict[str, Any]) -> None:
    assert isinstance(park["enable"], bool)
    assert isinstance(park["locked"], bool)
    assert park["locked_by"] in ("invalid", "account", "user_group", "site")
    assert park["expiration_period"] in PERIODS
    assert park["call_not_picked_up_action"] in ACTIONS
    assert park["sequence"] in (0, 1)
    target = park.get("forward_to")
    if target:
        assert isinstance(target["extension_number"], int)
        assert target["extension_type"] in ("user", "commonArea", "callQueue")
    to = f" to {target['extension_number']} ({target['display_name']})" if target else ""
    lock = f", locked by {park['locked_by']}" if park["locked"] else ""
    action = ACTIONS[park["call_not_picked_up_action"]]
    print(f"{what}: {park['expiration_period']} min, then {action}{to}, sequence {park['sequence']}{lock}")


def main() -> None:
    show("account", request("GET", "/v2/phone/account_settings")["call_park"])
    request("PATCH", "/v2/phone/account_settings", {"call_park": {"enable": True, "expiration_period": 15, "sequence": 1}})
    account = request("GET", "/v2/phone/account_settings")["call_park"]
    assert (account["expiration_period"], account["locked"], account["locked_by"]) == (15, False, "invalid")
    show("account", account)

    users, areas = every("/v2/phone/users", "users"), every("/v2/phone/common_areas", "common_areas")
    site = f"/v2/phone/sites/{every('/v2/phone/sites', 'sites')[0]['id']}"
    user, area = f"/v2/phone/users/{users[0]['id']}", f"/v2/phone/common_areas/{areas[0]['id']}"

    target = areas[0]["extension_id"]
    change = {"call_not_picked_up_action": 50, "forward_to_extension_id": target, "expiration_period": 5}
    request("PATCH", site, {"policy": {"call_park": change}})
    policy = request("GET", site)["policy"]["call_park"]
    assert policy["modified"] is True
    assert policy["forward_to"]["extension_id"] == target
    show("site", policy)

    show("user", request("GET", user)["policy"]["call_park"])
    request("PATCH", user, {"policy": {"call_park": {"expiration_period": 20, "call_not_picked_up_action": 9}}})
    policy = request("GET", user)["policy"]["call_park"]
    assert (policy["expiration_period"], policy["call_not_picked_up_action"]) == (20, 9)
    show("user", policy)

    request("PATCH", area, {"policy": {"call_park": {"enable": False}}})
    policy = request("GET", area)["policy"]["call_park"]
    assert (policy["enable"], policy["expiration_period"]) == (False, 5)
    show("common area", policy)

    request("PATCH", site, {"policy": {"call_park": {"locked": True}}})
    policy = request("GET", user)["policy"]["call_park"]
    assert (policy["locked"], policy["locked_by"], policy["expiration_period"]) == (True, "site", 5)
    show("user", policy)
    try:
        request("PATCH", user, {"policy": {"call_park": {"expiration_period": 1}}})
    except urllib.error.HTTPError as error:
        refused = json.load(error)
        assert isinstance(refused["code"], int)
        print(f"user: {error.code} {refused['message']}")
    else:
        raise AssertionError("what is locked was changed")

    request("PATCH", site, {"policy": {"call_park": {"reset": True}}})
    policy = request("GET", site)["policy"]["call_park"]
    assert (policy["modified"], policy["locked"], policy["expiration_period"]) == (False, False, 15)
    show("site", policy)


if __name__ == "__main__":
    main()
