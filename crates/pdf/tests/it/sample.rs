//! A certificate with everything in it, and fonts of the machine.

use countersign_pdf::certify::{
    Certificate, CertifiedDocument, CertifiedRecipient, Environment, LogStatement, Moment, SealStatement,
    TimelineRow, VerificationStep,
};
use countersign_pdf::font::{FallbackFont, FallbackFonts};
use countersign_pdf::place::Handwriting;
use std::sync::Arc;

/// Fonts of Debian packages for Arabic, Hebrew, Han (in a collection) and mathematics (with CFF outlines).
pub(crate) struct MachineFonts {
    fonts: Vec<(Covers, FallbackFont)>,
}

type Covers = fn(char) -> bool;

impl MachineFonts {
    pub(crate) fn load() -> Arc<Self> {
        let read = |package: &str, path: &str| {
            let bytes = std::fs::read(path)
                .unwrap_or_else(|error| panic!("{path}: {error}; install the Debian package {package}"));
            FallbackFont { bytes: bytes.into(), face_index: 0 }
        };
        let arabic: Covers = |c| ('\u{600}'..='\u{6FF}').contains(&c);
        let hebrew: Covers = |c| ('\u{590}'..='\u{5FF}').contains(&c);
        let han: Covers = |c| ('\u{2E80}'..='\u{D7FF}').contains(&c);
        let operator: Covers = |c| ('\u{2200}'..='\u{22FF}').contains(&c);
        let fonts = vec![
            (
                arabic,
                read("fonts-hosny-amiri", "/usr/share/fonts/opentype/fonts-hosny-amiri/Amiri-Regular.ttf"),
            ),
            (hebrew, read("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")),
            (han, read("fonts-wqy-microhei", "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")),
            (
                operator,
                read("fonts-urw-base35", "/usr/share/fonts/opentype/urw-base35/NimbusRoman-Regular.otf"),
            ),
        ];
        Arc::new(Self { fonts })
    }
}

impl FallbackFonts for MachineFonts {
    fn find(&self, character: char) -> Option<FallbackFont> {
        self.fonts.iter().find(|(covers, _)| covers(character)).map(|(_, font)| font.clone())
    }
}

fn moment(utc: &str, local: &str) -> Moment {
    Moment { utc: utc.into(), local: local.into() }
}

/// A signature drawn by hand, more or less.
pub(crate) fn scribble() -> Handwriting {
    let wave = |i: u32| {
        let t = f64::from(i) / 60.0;
        (0.05 + 0.8 * t, 0.5 + 0.32 * (t * 21.0).sin() * (1.0 - 0.6 * t))
    };
    let underline = vec![(0.1, 0.92), (0.5, 0.86), (0.95, 0.8)];
    Handwriting::Drawn {
        strokes: vec![(0..60).map(wave).collect(), underline, vec![(0.9, 0.3)]],
        aspect: 3.0,
    }
}

fn hash(seed: u8) -> String {
    hex::encode((0..32_u8).map(|i| i.wrapping_mul(37) ^ seed).collect::<Vec<_>>())
}

fn berlin(time: &str) -> Moment {
    moment(&format!("2026-11-21 14:{time} UTC"), &format!("15:{time} Europe/Berlin"))
}

fn recipients() -> Vec<CertifiedRecipient> {
    vec![
            CertifiedRecipient {
                name: "Margaret Ashworth-Öztürk".into(),
                email: "margaret.ashworth-oeztuerk@purchasing.example.com".into(),
                role: "Signer".into(),
                routing_order: 1,
                identified: "A six-digit code mailed to the address above, entered in the same browser".into(),
                consent: "Disclosure version 3 (English), 2026-11-21 14:20:01 UTC".into(),
                outcome: "Signed".into(),
                at: berlin("21:40"),
                ip: "203.0.113.77".into(),
                ip_source: "reported by the trusted proxy 10.0.0.4".into(),
                user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36".into(),
                mark: Some(Handwriting::Typed { name: "Margaret Ashworth-Öztürk".into() }),
            },
            CertifiedRecipient {
                name: "Наталія Ковальчук".into(),
                email: "n.kovalchuk@example.org".into(),
                role: "Signer".into(),
                routing_order: 2,
                identified: "Signing link only".into(),
                consent: "Disclosure version 3 (English), 2026-11-21 14:46:30 UTC".into(),
                outcome: "Signed".into(),
                at: berlin("47:55"),
                ip: "2001:db8:85a3:8d3:1319:8a2e:370:7348".into(),
                ip_source: "peer of the connection".into(),
                user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X)".into(),
                mark: Some(scribble()),
            },
            CertifiedRecipient {
                name: "Γιώργος Παπαδόπουλος".into(),
                email: "g.papadopoulos@example.gr".into(),
                role: "Receives a copy".into(),
                routing_order: 3,
                ..CertifiedRecipient::default()
            },
        ]
}

/// Two signers and a copy, `rows` events.
pub(crate) fn certificate(rows: usize) -> Certificate {
    let actions = [
        "Envelope created",
        "Document “Framework agreement 2026.pdf” added, SHA-256 bound to the envelope",
        "Envelope sent",
        "Invitation mailed",
        "Landing page opened; no document shown yet",
        "Identified by a code mailed to the address",
        "Consent to sign electronically given, disclosure version 3",
        "Document viewed, all 12 pages",
        "Signed",
    ];
    let actors = ["Margaret Ashworth-Öztürk", "System", "Наталія Ковальчук"];
    let timeline = (0..rows).map(|row| TimelineRow {
        at: berlin(&format!("{:02}:{:02}", row / 60 % 60, row % 60)),
        actor: actors[row % 3].into(),
        action: actions[row % actions.len()].into(),
        ip: if row % 3 == 1 { String::new() } else { "203.0.113.77".into() },
        event_hash: hash(u8::try_from(row % 251).unwrap()).chars().take(12).collect(),
    });
    Certificate {
        title: "Framework agreement on the supply of turbine blades".into(),
        envelope_id: "env_01JD8Q4M7Z5T9X2W3V6B8N1K0C".into(),
        organization: "Nordwind Anlagenbau GmbH".into(),
        sender: "Jürgen Weiß <j.weiss@nordwind.example>".into(),
        environment: Environment::Live,
        sent: berlin("01:12"),
        completed: berlin("47:55"),
        documents: vec![
            CertifiedDocument {
                name: "Framework agreement 2026.pdf".into(),
                sha256: hash(3),
                page_count: 12,
                size_bytes: 284_213,
            },
            CertifiedDocument { name: "Annex A — prices.pdf".into(), sha256: hash(9), page_count: 1, size_bytes: 9_120 },
        ],
        recipients: recipients(),
        timeline: timeline.collect(),
        timeline_note: String::new(),
        seal: SealStatement {
            statement: "This file is sealed once, as its last change, by a certifying signature (PAdES baseline B-B, ECDSA P-256) that forbids any later change.".into(),
            signer: "CN=Countersign Seal, O=Nordwind Anlagenbau GmbH, C=DE".into(),
            fingerprint: hash(77),
        },
        log: LogStatement {
            origin: "log.countersign.example/2026".into(),
            tree_size: 1_284_531,
            root_hash: "q1Zt0u0rY2mX3o5b8k9s6t2v4w7y1z3A5C8E0G2I4K6=".into(),
        },
        verification: vec![
            VerificationStep {
                text: "Check the seal with any validator of PAdES signatures, such as pyHanko or Adobe Acrobat. The attachment evidence.zip holds the events, their proofs and the checkpoint.".into(),
                command: "countersign-verify SEALED.pdf --key log.countersign.example/2026+8f3a1c22+AXy0".into(),
            },
        ],
    }
}
