"""The proxy's page in a real browser."""

from deployment import DEADLINE, EXAMPLE_MODEL, Deployment
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait


def test_the_dashboard_sends_a_prompt_and_shows_its_way(tmp_path, browser):
    running = Deployment("2p1d", tmp_path)

    def text(name):
        return browser.find_element(By.ID, name).text

    def until(condition):
        WebDriverWait(browser, DEADLINE).until(lambda _: condition())

    browser.get(running.url + "/")
    until(lambda: text("link") == "live" and EXAMPLE_MODEL in text("try"))
    workers = [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".worker b")]
    assert workers == ["prefiller1", "prefiller2", "decoder1"]
    browser.find_element(By.CSS_SELECTOR, "#try button").click()
    until(lambda: "decoder decoder1" in text("told"))
    assert len(text("answer")) > 20
    assert "decode on decoder1" in text("way")
    until(lambda: text("faults") == "answered 1")
    browser.save_screenshot(str(tmp_path / "dashboard.png"))
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    running.stop()
