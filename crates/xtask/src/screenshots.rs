//! `cargo xtask screenshots`: every screen of the Web UI as a picture, in both themes and two widths, with what the
//! browser and axe-core find wrong with it.

use std::fs;
use std::path::PathBuf;

use chancery_testkit::demonstration::ROUNDS_FULL;
use chancery_testkit::foreign::Theme;
use chancery_testkit::screen::{Gallery, SCREENS, Screen, WIDTHS};
use clap::Args;

#[derive(Args)]
pub struct ScreenshotArguments {
    /// Folder for the pictures, NAME-THEME-WIDTH.png
    #[arg(long, default_value = "target/screenshots")]
    out: PathBuf,
    /// Only screens with this in their name; may be given several times
    #[arg(long)]
    only: Vec<String>,
    /// Rounds of issuance in the demonstration, ten days apart
    #[arg(long, default_value_t = ROUNDS_FULL)]
    rounds: u32,
}

/// Takes the pictures, and fails when a screen is missing or has a fault.
pub fn run(arguments: &ScreenshotArguments) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(take_all(arguments))
}

async fn take_all(arguments: &ScreenshotArguments) -> Result<(), String> {
    fs::create_dir_all(&arguments.out).map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    let is_wanted = |screen: &&Screen| {
        arguments.only.is_empty() || arguments.only.iter().any(|it| screen.name.contains(it.as_str()))
    };
    let mut gallery = Gallery::start(arguments.rounds).await;
    let mut problems = Vec::new();
    for screen in SCREENS.iter().filter(is_wanted) {
        for theme in Theme::ALL {
            for width in WIDTHS {
                problems.extend(take(&mut gallery, arguments, screen, (theme, width)).await?);
            }
        }
    }
    gallery.stop().await;
    crate::report("screens", &problems)
}

/// One picture, and what is wrong with it.
async fn take(
    gallery: &mut Gallery,
    arguments: &ScreenshotArguments,
    screen: &Screen,
    (theme, width): (Theme, u32),
) -> Result<Vec<String>, String> {
    let name = format!("{}-{}-{width}", screen.name, theme.as_str());
    gallery.show(screen, width, theme).await;
    let picture = gallery.browser().screenshot_of_page().await;
    let path = arguments.out.join(format!("{name}.png"));
    fs::write(&path, &picture).map_err(|error| format!("{}: {error}", path.display()))?;
    let look = gallery.look().await;
    println!("{name}: status {}, {} bytes, {} faults", look.status, look.weight, look.faults.len());
    let mut problems: Vec<String> = look.faults.iter().map(|fault| format!("{name}: {fault}")).collect();
    if look.status != screen.status() {
        problems.push(format!("{name}: status {} in place of {}", look.status, screen.status()));
    }
    Ok(problems)
}
