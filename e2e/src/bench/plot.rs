//! Figures over the number of rollouts, both axes by powers of ten, as a picture. Nothing here measures.

const LEFT: f64 = 70.0;
const RIGHT: f64 = 520.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 250.0;
const COLORS: [&str; 3] = ["#0b7a3b", "#8a8f98", "#1f5fbf"];

/// A name and what was measured at each number of rollouts.
pub(super) type Line = (&'static str, Vec<(f64, f64)>);

/// The picture; nothing where there are not two points to join.
pub(super) fn plot(title: &str, unit: &str, lines: &[Line]) -> String {
    let points: Vec<(f64, f64)> = lines.iter().flat_map(|(_, all)| all.iter().copied()).collect();
    let range = |of: fn(&(f64, f64)) -> f64| {
        let logs = points.iter().map(of).filter(|v| *v > 0.0).map(f64::log10);
        let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        (low.floor(), high.ceil().max(low.floor() + 1.0))
    };
    let (across, up) = (range(|p| p.0), range(|p| p.1));
    let x = |v: f64| LEFT + (RIGHT - LEFT) * (v.log10() - across.0) / (across.1 - across.0);
    let y = |v: f64| BOTTOM - (BOTTOM - TOP) * (v.log10() - up.0) / (up.1 - up.0);
    let text = |x: f64, y: f64, anchor: &str, words: &str| {
        format!(r#"<text x="{x:.0}" y="{y:.0}" text-anchor="{anchor}" font-size="12">{words}</text>"#)
    };
    let mut parts = vec![text(LEFT, 20.0, "start", title)];
    for power in powers(across) {
        parts.push(text(x(power), BOTTOM + 18.0, "middle", &format!("{power}")));
    }
    for power in powers(up) {
        let at = y(power);
        parts.push(format!(r##"<path d="M{LEFT} {at:.1}H{RIGHT}" stroke="#ddd"/>"##));
        parts.push(text(LEFT - 6.0, at + 4.0, "end", &format!("{power} {unit}")));
    }
    for ((name, all), color) in lines.iter().zip(COLORS) {
        let path: Vec<String> = all.iter().map(|(a, b)| format!("{:.1} {:.1}", x(*a), y(b.max(1e-9)))).collect();
        parts.push(format!(r#"<path d="M{}" fill="none" stroke="{color}" stroke-width="2"/>"#, path.join("L")));
        if let Some((a, b)) = all.last() {
            let own = text(x(*a) + 6.0, y(*b), "start", name);
            parts.push(own.replace("<text", &format!(r#"<text fill="{color}""#)));
        }
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 280" font-family="sans-serif"><rect width="700" height="280" fill="#fff"/>{}</svg>
"##,
        parts.join("")
    )
}

fn powers((low, high): (f64, f64)) -> Vec<f64> {
    let mut all = Vec::new();
    let mut power = low;
    while power <= high && all.len() < 12 {
        all.push(10_f64.powf(power));
        power += 1.0;
    }
    all
}
