//! Every screen of the table, as people get it who use a screen reader, a keyboard, a phone or a slow line.

use chancery_testkit::demonstration::ROUNDS_FEW;
use chancery_testkit::foreign::Theme;
use chancery_testkit::screen::{Gallery, SCREENS, WIDTHS};

/// No screen has a fault that axe-core finds, complains in the browser, is wider than its window, or weighs more than
/// 100 kB with style and script. Light on a desk and dark on a phone: colours and widths do not depend on one another, so
/// the other two combinations would tell nothing new.
#[tokio::test]
async fn every_screen_is_accessible_light_enough_and_within_its_window() {
    let [desk, phone] = WIDTHS;
    let mut gallery = Gallery::start(ROUNDS_FEW).await;
    let mut faults = Vec::new();
    for screen in SCREENS {
        for (width, theme) in [(desk, Theme::Light), (phone, Theme::Dark)] {
            gallery.show(screen, width, theme).await;
            let look = gallery.look().await;
            let name = format!("{}, {} pixels, {}", screen.name, width, theme.as_str());
            if look.status != screen.status() {
                faults.push(format!("{name}: status {}", look.status));
            }
            faults.extend(look.faults.iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    gallery.stop().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
