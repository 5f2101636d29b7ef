//! What senders may compose and recipients may type.

use countersign_core::{
    envelope::{
        Body, Command,
        event::{FieldKind, Rect, Role},
        fields::{check_email, check_line, check_text},
    },
    limits,
    refusal::Code,
};

use crate::world::{World, code, field, new_envelope, personal, recipient};

/// Hands in one typed value for one field of this kind: the value that was recorded, or the code of the refusal.
fn hand_in(kind: FieldKind, required: bool, typed: Option<&str>) -> Result<Option<String>, Code> {
    let mut world = World::sent(vec![recipient(1, Role::Signer, 1)], vec![field(0, kind, required)]);
    let signer = world.recipient(0);
    let session = world.ready(signer);
    let id = world.contents().fields[0].id;
    let mut submission = world.submission(signer, session);
    submission.values = typed.into_iter().map(|typed| (id, personal(typed))).collect();
    let events = world.submit(signer, submission).map_err(|refusal| refusal.code)?;
    let act = events.into_iter().find_map(|body| if let Body::Signed(act) = body { Some(act) } else { None });
    let values = act.expect("signed").values;
    Ok(values.first().map(|value| value.value.value().expect("open").disclose().clone()))
}

fn text(max_chars: u32, multiline: bool) -> FieldKind {
    FieldKind::Text { max_chars, multiline }
}

fn dropdown() -> FieldKind {
    FieldKind::Dropdown { options: vec!["yearly".to_owned(), "monthly".to_owned()] }
}

#[test]
fn typed_values_are_checked_by_kind() {
    use FieldKind as K;
    let number = || K::Number { decimals: 2 };
    let taken = [
        (text(5, false), "Zoë\u{301}!"),
        (text(9, true), "two\nlines"),
        (K::Company, "Rose & Søn"),
        (K::Company, "نگار\u{200c}ها"),
        (K::Title, "Dr."),
        (number(), "-12.50"),
        (number(), "0"),
        (number(), "007.1"),
        (K::Checkbox, "true"),
        (dropdown(), "monthly"),
    ];
    for (kind, typed) in taken {
        assert_eq!(
            hand_in(kind.clone(), true, Some(typed)),
            Ok(Some(typed.to_owned())),
            "{kind:?} {typed:?}"
        );
    }
    let refused = [
        (text(5, false), "123456"),
        (text(9, false), "two\nlines"),
        (text(9, true), "a\u{0}"),
        (text(9, true), "a\r\nb"),
        (text(9, true), "\u{202e}a"),
        (text(9, true), "a\u{2028}b"),
        (text(9, true), "a\u{ffff}"),
        (text(9, false), "a\u{e0041}"),
        (text(9, true), "\u{2066}a"),
        (K::Company, "a\nb"),
        (K::Title, "a\u{7f}"),
        (number(), "1,5"),
        (number(), "1.234"),
        (number(), "1."),
        (number(), ".5"),
        (number(), "--1"),
        (number(), "1e3"),
        (number(), "１"),
        (number(), "1234567890123456789012345678901"),
        (K::Number { decimals: 0 }, "1.0"),
        (K::Checkbox, "yes"),
        (K::Radio { group: "g".to_owned() }, "1"),
        (dropdown(), "daily"),
        (dropdown(), "Monthly"),
        (K::Signature, "P. One"),
        (K::DateSigned, "1999-01-01"),
        (K::Name, "Somebody Else"),
        (K::Email, "other@example.com"),
        (K::Initials, "X"),
    ];
    for (kind, typed) in refused {
        assert_eq!(hand_in(kind.clone(), true, Some(typed)), Err(Code::Invalid), "{kind:?} {typed:?}");
    }
}

#[test]
fn a_required_field_must_be_filled_and_an_optional_one_need_not() {
    let kinds = [
        text(9, false),
        FieldKind::Company,
        FieldKind::Number { decimals: 0 },
        FieldKind::Checkbox,
        dropdown(),
    ];
    for kind in kinds {
        for empty in [None, Some(""), Some("  "), Some("\u{200b}"), Some("\u{3164}\u{2800}\u{ad}")] {
            assert_eq!(hand_in(kind.clone(), true, empty), Err(Code::FieldMissing), "{kind:?}");
            assert_eq!(hand_in(kind.clone(), false, empty), Ok(None), "{kind:?}");
        }
    }
    assert_eq!(hand_in(FieldKind::Checkbox, true, Some("false")), Err(Code::FieldMissing));
    assert_eq!(hand_in(FieldKind::Checkbox, false, Some("false")), Ok(Some("false".to_owned())));
}

#[test]
fn the_server_sets_what_it_knows() {
    let set = |kind| hand_in(kind, true, None).unwrap().unwrap();
    assert_eq!(set(FieldKind::Name), "Person 1");
    assert_eq!(set(FieldKind::Signature), "Person 1");
    assert_eq!(set(FieldKind::Initials), "P1");
    assert_eq!(set(FieldKind::Email), "person1@example.com");
    assert_eq!(set(FieldKind::DateSigned), "2026-11-18", "in the time zone of the recipient");
}

#[test]
fn one_button_of_a_radio_group_is_chosen() {
    let radio = |required| field(0, FieldKind::Radio { group: "Rent".to_owned() }, required);
    let other = field(0, FieldKind::Radio { group: "Pets".to_owned() }, false);
    let choose = |chosen: &[&str], required: bool| {
        let fields = vec![radio(required), radio(false), other.clone()];
        let mut world = World::sent(vec![recipient(1, Role::Signer, 1)], fields);
        let signer = world.recipient(0);
        let session = world.ready(signer);
        let mut submission = world.submission(signer, session);
        let ids = world.contents().fields.into_iter().map(|field| field.id);
        submission.values = ids.zip(chosen).map(|(id, value)| (id, personal(value))).collect();
        world.submit(signer, submission).map(|_| ()).map_err(|refusal| refusal.code)
    };
    assert_eq!(choose(&["false", "true", "true"], true), Ok(()));
    assert_eq!(choose(&["true", "true", "false"], true), Err(Code::Invalid));
    assert_eq!(choose(&["false", "false", "true"], true), Err(Code::FieldMissing));
    assert_eq!(choose(&[], true), Err(Code::FieldMissing));
    assert_eq!(choose(&[], false), Ok(()));
}

#[test]
fn nobody_fills_the_fields_of_others_or_one_twice() {
    let fields = vec![field(0, text(9, false), false), field(1, text(9, false), false)];
    let mut world = World::sent(vec![recipient(1, Role::Signer, 1), recipient(2, Role::Signer, 1)], fields);
    let signer = world.recipient(0);
    let session = world.ready(signer);
    let ids: Vec<_> = world.contents().fields.iter().map(|field| field.id).collect();
    for values in [vec![ids[1]], vec![ids[0], ids[0]]] {
        let mut submission = world.submission(signer, session);
        submission.values = values.into_iter().map(|id| (id, personal("x"))).collect();
        assert_eq!(code(world.submit(signer, submission)), Code::Invalid);
    }
}

#[test]
fn lines_texts_and_addresses_have_a_shape() {
    for good in ["a", "Ελένη", "日本", &"x".repeat(limits::LINE_CHARS)] {
        assert_eq!(check_line("", good), Ok(()));
    }
    for bad in ["", " ", "a\nb", "a\tb", "\u{202a}x", "x\u{2069}", &"x".repeat(limits::LINE_CHARS + 1)] {
        assert_eq!(code(check_line("", bad)), Code::Invalid, "{bad:?}");
    }
    assert_eq!(check_text("", "a\nb"), Ok(()));
    assert_eq!(check_text("", ""), Ok(()));
    for bad in ["a\u{7}", "\u{202e}", &"x".repeat(limits::TEXT_CHARS + 1)] {
        assert_eq!(code(check_text("", bad)), Code::Invalid);
    }
    for good in ["a@b", "first.last+tag@mail.example.com", "o'hara/x=y@x-y.example", "{a}|b~@1.example"] {
        assert_eq!(check_email("", good), Ok(()));
    }
    let long = format!("{}@example.com", "x".repeat(65));
    let long_label = format!("a@{}.example", "x".repeat(64));
    for bad in
        ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b..c", "a@-b", "a@b.", "<a@b>", "a@b\r\nBcc: c@d", &long]
    {
        assert_eq!(code(check_email("", bad)), Code::Invalid, "{bad:?}");
    }
    for bad in
        ["a..b@example.com", ".a@x.com", "a.@x.com", "é@x.com", "a@é.com", "a@b-.c", "\"a\"@b", &long_label]
    {
        assert_eq!(code(check_email("", bad)), Code::Invalid, "{bad:?}");
    }
}

/// Letters that mail servers need an extension for are refused in words that say so; a domain has a spelling without.
#[test]
fn addresses_with_other_letters_are_told_why_they_cannot_be_sent_to() {
    let told = |address: &str| check_email("/email", address).unwrap_err().sentence;
    for address in ["é@x.com", "用户@example.com", "δοκιμή@xn--bcher-kva.example", "é@é.com"] {
        assert!(told(address).contains("before the @") && told(address).contains("SMTPUTF8"), "{address}");
    }
    for address in ["ada@bücher.example", "ada@例え.テスト", "ada@bu\u{308}cher.example"] {
        assert!(told(address).contains("Punycode") && told(address).contains("xn--bcher-kva"), "{address}");
    }
    for address in ["é", "ada@", "@example.com", "ada example@x.com"] {
        assert!(told(address).contains("like `name@example.com`"), "{address}");
    }
    assert_eq!(check_email("/email", "ada@xn--bcher-kva.example"), Ok(()));
}

/// Creates an envelope with one thing changed: where the refusal points.
fn create_with(change: impl FnOnce(&mut countersign_core::envelope::command::NewEnvelope)) -> String {
    let recipients =
        vec![recipient(1, Role::Signer, 1), recipient(2, Role::Approver, 1), recipient(3, Role::Copy, 1)];
    let mut new = new_envelope(recipients, vec![field(0, FieldKind::Signature, true)]);
    change(&mut new);
    let refusal = World::new().by_sender(Command::Create(Box::new(new))).expect_err("refused");
    assert_eq!(refusal.code, Code::Invalid);
    refusal.pointer.expect("a pointer")
}

#[test]
fn what_a_sender_composes_is_checked_and_pointed_at() {
    use FieldKind as K;
    assert_eq!(create_with(|new| new.title = personal("\u{202e}")), "/title");
    assert_eq!(create_with(|new| new.message = Some(personal("\u{0}"))), "/message");
    assert_eq!(create_with(|new| new.lifetime_s = 59), "/lifetime_s");
    assert_eq!(create_with(|new| new.lifetime_s = limits::ENVELOPE_LONGEST_S + 1), "/lifetime_s");
    assert_eq!(create_with(|new| new.documents.clear()), "/documents");
    assert_eq!(create_with(|new| new.documents[1].id = new.documents[0].id), "/documents/1/id");
    assert_eq!(create_with(|new| new.documents[0].name = personal("")), "/documents/0/name");
    assert_eq!(create_with(|new| new.recipients.clear()), "/recipients");
    assert_eq!(create_with(|new| new.recipients[0].name = personal("a\nb")), "/recipients/0/name");
    assert_eq!(create_with(|new| new.recipients[1].email = personal("nobody")), "/recipients/1/email");
    assert_eq!(create_with(|new| new.recipients[2].order = 0), "/recipients/2/order");
    assert_eq!(create_with(|new| new.recipients.drain(..2).for_each(drop)), "/recipients");
    assert_eq!(create_with(|new| new.fields = vec![new.fields[0].clone(); 501]), "/fields");
    assert_eq!(create_with(|new| new.fields[0].document_index = 2), "/fields/0/document");
    assert_eq!(create_with(|new| new.fields[0].recipient_index = 3), "/fields/0/recipient");
    assert_eq!(
        create_with(|new| new.fields[0].recipient_index = 2),
        "/fields/0/recipient",
        "a copy fills nothing"
    );
    assert_eq!(
        create_with(|new| new.fields[0].recipient_index = 1),
        "/fields/0/kind",
        "an approver signs nothing"
    );
    assert_eq!(create_with(|new| new.fields[0].page = 0), "/fields/0/page");
    assert_eq!(create_with(|new| new.fields[0].page = 3), "/fields/0/page");
    assert_eq!(create_with(|new| new.fields[0].label = personal(" ").disclose().clone()), "/fields/0/label");
    let rects = [
        (0, 0, 499, 2_000),
        (0, 0, 2_000, 499),
        (59_000, 0, 501, 500),
        (0, 84_000, 500, 201),
        (u32::MAX, 0, u32::MAX, 500),
    ];
    for (x_cpt, y_cpt, width_cpt, height_cpt) in rects {
        let rect = Rect { x_cpt, y_cpt, width_cpt, height_cpt };
        assert_eq!(create_with(|new| new.fields[0].rect = rect), "/fields/0/rect");
    }
    assert_eq!(create_with(|new| new.fields[0].kind = text(0, true)), "/fields/0/kind/max_chars");
    assert_eq!(create_with(|new| new.fields[0].kind = text(4_001, true)), "/fields/0/kind/max_chars");
    assert_eq!(create_with(|new| new.fields[0].kind = K::Number { decimals: 11 }), "/fields/0/kind/decimals");
    assert_eq!(
        create_with(|new| new.fields[0].kind = K::Radio { group: String::new() }),
        "/fields/0/kind/group"
    );
    assert_eq!(
        create_with(|new| new.fields[0].kind = K::Dropdown { options: vec![] }),
        "/fields/0/kind/options"
    );
    let many = (0..=limits::OPTIONS_PER_DROPDOWN).map(|number| number.to_string()).collect();
    for options in [many, vec!["a".to_owned(), "b".to_owned(), "a".to_owned()]] {
        assert_eq!(create_with(|new| new.fields[0].kind = K::Dropdown { options }), "/fields/0/kind/options");
    }
}
