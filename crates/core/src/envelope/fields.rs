//! What may be put into an envelope and into its fields: every bound on what a sender composes and a recipient types.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    command::{NewEnvelope, NewField, Submission},
    event::{AdoptionMethod, Factor, Field, FieldKind, Recipient, Role},
    state::Contents,
};
use crate::{
    id::FieldId,
    limits,
    refusal::{Code, Refusal},
    secret::Personal,
    time::Time,
};

/// A drawn signature as its value holds it (JSON): strokes of points in a box of the given size, origin top left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnMark {
    /// Width of the drawing area.
    pub width: u32,
    /// Height of the drawing area.
    pub height: u32,
    /// Strokes of points `[x, y]`.
    pub strokes: Vec<Vec<(u32, u32)>>,
}

impl DrawnMark {
    /// Reads a mark and checks its bounds.
    pub fn parse(text: &str) -> Option<Self> {
        // serde would take an array of the values as well, which the pages of later signers cannot draw.
        if text.len() > limits::DRAWN_MARK_BYTES || !text.trim_start().starts_with('{') {
            return None;
        }
        let mark: Self = serde_json::from_str(text).ok()?;
        let inside = |&(x, y): &(u32, u32)| x <= mark.width && y <= mark.height;
        let sized = (1..=10_000).contains(&mark.width) && (1..=10_000).contains(&mark.height);
        let drawn = mark.strokes.iter().flatten().count() >= 2;
        (sized && drawn && mark.strokes.iter().flatten().all(inside)).then_some(mark)
    }
}

/// The text of the one button that acts (E-7): the verb of the role, and the title.
pub fn button_label(role: Role, title: &str) -> String {
    match role {
        Role::Signer => format!("Sign “{title}”"),
        Role::Approver => format!("Approve “{title}”"),
        Role::Viewer | Role::Copy => format!("Confirm that I have read “{title}”"),
    }
}

/// Whether nothing of a text can be seen: it is empty, or made of spaces and characters without a shape.
pub fn is_blank(text: &str) -> bool {
    let has_no_shape = |c: char| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
            || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
            || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars().all(|c| c.is_whitespace() || is_unwritable(c) || has_no_shape(c))
}

/// Refuses text of which nothing can be seen, that is too long, or that has characters in it that no line has.
pub fn check_line(pointer: &str, text: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if is_blank(text) {
        return Err(Refusal::at(
            Code::Invalid,
            pointer,
            "this must not be empty: write something that can be seen",
        ));
    }
    if length > limits::LINE_CHARS {
        return Err(too_long(pointer, limits::LINE_CHARS));
    }
    if text.chars().any(is_unwritable) {
        let sentence = "this must be one line without control or text-direction override characters";
        return Err(Refusal::at(Code::Invalid, pointer, sentence));
    }
    Ok(())
}

/// Refuses text that is too long, or has characters in it that no text has; line breaks are `\n`.
pub fn check_text(pointer: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() > limits::TEXT_CHARS {
        return Err(too_long(pointer, limits::TEXT_CHARS));
    }
    if text.chars().any(|c| c != '\n' && is_unwritable(c)) {
        let sentence =
            "this must not hold control or text-direction override characters (line breaks are \\n)";
        return Err(Refusal::at(Code::Invalid, pointer, sentence));
    }
    Ok(())
}

fn too_long(pointer: &str, most: usize) -> Refusal {
    Refusal::at(Code::Invalid, pointer, format!("this must have at most {most} characters"))
}

/// Controls, line and paragraph separators, what turns the direction of text, tags, and what is no character.
fn is_unwritable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Refuses what cannot be an e-mail address: we send to it, so only the shape is checked. It is a dot-atom and a host
/// name (RFC 5322 §3.4.1), which every mail server takes. Other letters need servers with an extension (SMTPUTF8, RFC
/// 6531) all the way; a domain of other letters has a name of these ones too (RFC 5890 §2.3.2.1).
pub fn check_email(pointer: &str, text: &str) -> Result<(), Refusal> {
    let refuse = |sentence| Err(Refusal::at(Code::Invalid, pointer, sentence));
    let (local, domain) = text.rsplit_once('@').unwrap_or_default();
    if !local.is_ascii() {
        return refuse(
            "the part before the @ has letters that many mail servers cannot take (SMTPUTF8): only a-z, A-Z, 0-9 and \
             signs like . + - _ are sent to; use another address of this recipient",
        );
    }
    if !domain.is_ascii() {
        return refuse(
            "write the domain of this address as mail servers know it, in Punycode: `bücher.example` is \
             `xn--bcher-kva.example`",
        );
    }
    let well_formed =
        local.len() <= 64 && local.split('.').all(is_atom) && domain.split('.').all(is_host_label);
    if well_formed && text.len() <= limits::EMAIL_CHARS {
        return Ok(());
    }
    refuse("this must be an e-mail address like `name@example.com`")
}

/// RFC 5322 §3.2.3, `1*atext`.
fn is_atom(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
}

/// RFC 1123 §2.1.
fn is_host_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn check_count(pointer: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Refusal::at(Code::Invalid, pointer, format!("there must be between 1 and {most} of these")))
}

/// Checks all that a sender composed.
pub fn check_new_envelope(new: &NewEnvelope) -> Result<(), Refusal> {
    check_line("/title", new.title.disclose())?;
    if let Some(message) = &new.message {
        check_text("/message", message.disclose())?;
    }
    if !(60..=limits::ENVELOPE_LONGEST_S).contains(&new.lifetime_s) {
        let most = limits::ENVELOPE_LONGEST_S;
        return Err(Refusal::at(
            Code::Invalid,
            "/lifetime_s",
            format!("this must be between 60 and {most} seconds"),
        ));
    }
    check_count("/documents", new.documents.len(), limits::DOCUMENTS_PER_ENVELOPE)?;
    for (index, document) in new.documents.iter().enumerate() {
        check_line(&format!("/documents/{index}/name"), document.name.disclose())?;
        if new.documents.iter().take(index).any(|earlier| earlier.id == document.id) {
            let sentence = "this document is in the list twice; upload it twice if that is meant";
            return Err(Refusal::at(Code::Invalid, format!("/documents/{index}/id"), sentence));
        }
    }
    check_recipients(new)?;
    check_assurance(new)?;
    if new.fields.len() > limits::FIELDS_PER_ENVELOPE {
        let most = limits::FIELDS_PER_ENVELOPE;
        return Err(Refusal::at(Code::Invalid, "/fields", format!("there must be at most {most} fields")));
    }
    new.fields.iter().enumerate().try_for_each(|(index, field)| check_new_field(new, index, field))
}

fn check_recipients(new: &NewEnvelope) -> Result<(), Refusal> {
    check_count("/recipients", new.recipients.len(), limits::RECIPIENTS_PER_ENVELOPE)?;
    for (index, recipient) in new.recipients.iter().enumerate() {
        check_line(&format!("/recipients/{index}/name"), recipient.name.disclose())?;
        check_email(&format!("/recipients/{index}/email"), recipient.email.disclose())?;
        if recipient.order == 0 {
            let pointer = format!("/recipients/{index}/order");
            return Err(Refusal::at(Code::Invalid, pointer, "routing orders start at 1"));
        }
        if recipient.access_code.is_some() != (recipient.factor == Factor::AccessCode) {
            let pointer = format!("/recipients/{index}/access_code");
            let sentence =
                "give an access code to recipients whose factor is `access_code`, and to no others";
            return Err(Refusal::at(Code::Invalid, pointer, sentence));
        }
    }
    if new.recipients.iter().any(|recipient| matches!(recipient.role, Role::Signer | Role::Approver)) {
        return Ok(());
    }
    Err(Refusal::at(Code::Invalid, "/recipients", "at least one recipient must be a signer or an approver"))
}

/// Refuses an envelope in which somebody who signs or approves is identified less surely than it asks for.
fn check_assurance(new: &NewEnvelope) -> Result<(), Refusal> {
    let Some(assurance) = new.assurance else { return Ok(()) };
    for (index, recipient) in new.recipients.iter().enumerate() {
        let acts = matches!(recipient.role, Role::Signer | Role::Approver);
        if acts && recipient.factor.level() < Some(assurance) {
            let sufficient = Factor::ALL.into_iter().filter(|factor| factor.level() >= Some(assurance));
            let named: Vec<String> = sufficient.map(|factor| format!("`{}`", factor.text())).collect();
            let pointer = format!("/recipients/{index}/factor");
            let sentence = format!(
                "this envelope asks for {} of everybody who signs or approves, which {} reaches",
                assurance.text(),
                named.join(" or ")
            );
            return Err(Refusal::at(Code::Invalid, pointer, sentence));
        }
    }
    Ok(())
}

/// Refuses what every keyboard does not type the same way, or what is too short or too long for an access code.
pub fn check_access_code(pointer: &str, text: &str) -> Result<(), Refusal> {
    let is_typed_alike = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text;
    let is_sized = (limits::ACCESS_CODE_FEWEST_CHARS..=limits::ACCESS_CODE_CHARS).contains(&text.len());
    if is_typed_alike && is_sized {
        return Ok(());
    }
    let (fewest, most) = (limits::ACCESS_CODE_FEWEST_CHARS, limits::ACCESS_CODE_CHARS);
    let sentence =
        format!("an access code has {fewest} to {most} characters of ASCII, and no space at its ends");
    Err(Refusal::at(Code::Invalid, pointer, sentence))
}

fn check_new_field(new: &NewEnvelope, index: usize, field: &NewField) -> Result<(), Refusal> {
    let at = |part: &str| format!("/fields/{index}/{part}");
    let Some(document) = new.documents.get(field.document_index) else {
        return Err(Refusal::at(Code::Invalid, at("document"), "the envelope has no such document"));
    };
    let Some(recipient) = new.recipients.get(field.recipient_index) else {
        return Err(Refusal::at(Code::Invalid, at("recipient"), "the envelope has no such recipient"));
    };
    let page = usize::try_from(field.page).ok().and_then(|page| page.checked_sub(1));
    let Some(&(width, height)) = page.and_then(|page| document.page_sizes_cpt.get(page)) else {
        let count = document.page_sizes_cpt.len();
        return Err(Refusal::at(
            Code::Invalid,
            at("page"),
            format!("pages of this document go from 1 to {count}"),
        ));
    };
    let rect = field.rect;
    let right = u64::from(rect.x_cpt) + u64::from(rect.width_cpt);
    let bottom = u64::from(rect.y_cpt) + u64::from(rect.height_cpt);
    if rect.width_cpt < 500 || rect.height_cpt < 500 || right > u64::from(width) || bottom > u64::from(height)
    {
        let (width, height) = (f64::from(width) / 100.0, f64::from(height) / 100.0);
        let sentence = format!(
            "a field must be at least 5 × 5 points and lie on the displayed page of {width} × {height} points"
        );
        return Err(Refusal::at(Code::Invalid, at("rect"), sentence));
    }
    check_line(&at("label"), &field.label)?;
    check_kind(&at("kind"), &field.kind)?;
    let wants_mark = matches!(field.kind, FieldKind::Signature | FieldKind::Initials);
    match recipient.role {
        Role::Signer => Ok(()),
        Role::Approver if !wants_mark => Ok(()),
        Role::Approver => {
            Err(Refusal::at(Code::Invalid, at("kind"), "an approver gives no signature or initials"))
        }
        Role::Viewer | Role::Copy => {
            Err(Refusal::at(Code::Invalid, at("recipient"), "only signers and approvers fill fields"))
        }
    }
}

fn check_kind(pointer: &str, kind: &FieldKind) -> Result<(), Refusal> {
    match kind {
        FieldKind::Radio { group } => check_line(&format!("{pointer}/group"), group),
        FieldKind::Dropdown { options } => {
            let pointer = format!("{pointer}/options");
            check_count(&pointer, options.len(), limits::OPTIONS_PER_DROPDOWN)?;
            options.iter().try_for_each(|option| check_line(&pointer, option))?;
            let different: BTreeSet<&String> = options.iter().collect();
            if different.len() == options.len() {
                return Ok(());
            }
            Err(Refusal::at(Code::Invalid, pointer, "no two options of a dropdown may be the same"))
        }
        FieldKind::Text { max_chars, .. } => {
            let most = u32::try_from(limits::TEXT_CHARS).unwrap_or(u32::MAX);
            if (1..=most).contains(max_chars) {
                return Ok(());
            }
            let sentence = format!("a text field takes between 1 and {most} characters");
            Err(Refusal::at(Code::Invalid, format!("{pointer}/max_chars"), sentence))
        }
        FieldKind::Number { decimals } if *decimals > 10 => {
            let pointer = format!("{pointer}/decimals");
            Err(Refusal::at(Code::Invalid, pointer, "a number has at most 10 decimals"))
        }
        _ => Ok(()),
    }
}

/// The complete values of a recipient's fields: what was typed, checked, and what the server sets.
pub fn complete_values(
    contents: &Contents,
    recipient: &Recipient,
    submission: &Submission,
    now: Time,
    time_zone: Option<&str>,
) -> Result<Vec<(FieldId, Personal<String>)>, Refusal> {
    for (id, _) in &submission.values {
        let own =
            contents.fields_of(recipient.id).any(|field| field.id == *id && !is_set_by_server(&field.kind));
        if !own {
            return Err(Refusal::at(
                Code::Invalid,
                value_pointer(*id),
                "this is not a field of yours to fill",
            ));
        }
        if submission.values.iter().filter(|(other, _)| other == id).count() > 1 {
            return Err(Refusal::at(Code::Invalid, value_pointer(*id), "this field has two values"));
        }
    }
    let mut values = Vec::new();
    for field in contents.fields_of(recipient.id) {
        let typed = submission
            .values
            .iter()
            .find(|(id, _)| *id == field.id)
            .map(|(_, value)| value.disclose().as_str());
        if let Some(value) = value_of(field, recipient, typed, now, time_zone)? {
            values.push((field.id, Personal::new(value)));
        }
    }
    check_radio_groups(contents, recipient, &values)?;
    Ok(values)
}

fn value_pointer(field: FieldId) -> String {
    format!("/values/{field}")
}

/// Whether the server sets the value of such a field.
pub fn is_set_by_server(kind: &FieldKind) -> bool {
    use FieldKind as K;
    matches!(kind, K::Signature | K::Initials | K::DateSigned | K::Name | K::Email)
}

/// The initials of a name: the first letter of each word, upper case.
pub fn initials(name: &str) -> String {
    name.split_whitespace().filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}

fn value_of(
    field: &Field,
    recipient: &Recipient,
    typed: Option<&str>,
    now: Time,
    time_zone: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let of_person = |veiled: &super::veil::Veiled| {
        veiled.value().map(|value| value.disclose().clone()).ok_or_else(|| {
            Refusal::new(
                Code::Invalid,
                "this recipient's personal data was erased; nothing can be signed with it",
            )
        })
    };
    match field.kind {
        FieldKind::DateSigned => return Ok(Some(now.date_in_zone(time_zone))),
        FieldKind::Name | FieldKind::Signature => return of_person(&recipient.name).map(Some),
        FieldKind::Initials => return of_person(&recipient.name).map(|name| Some(initials(&name))),
        FieldKind::Email => return of_person(&recipient.email).map(Some),
        _ => {}
    }
    let pointer = value_pointer(field.id);
    let Some(typed) = typed.filter(|typed| !is_blank(typed)) else {
        let needed = field.required && !matches!(field.kind, FieldKind::Radio { .. });
        return if needed { Err(missing(field)) } else { Ok(None) };
    };
    check_typed(&pointer, field, typed)?;
    Ok(Some(typed.to_owned()))
}

fn missing(field: &Field) -> Refusal {
    let sentence = format!("“{}” on page {} must be filled", field.label, field.page);
    Refusal::at(Code::FieldMissing, value_pointer(field.id), sentence)
}

fn check_typed(pointer: &str, field: &Field, typed: &str) -> Result<(), Refusal> {
    let refuse = |sentence: String| Err(Refusal::at(Code::Invalid, pointer, sentence));
    match &field.kind {
        FieldKind::Text { max_chars, multiline } => {
            check_text(pointer, typed)?;
            if typed.chars().count() > usize::try_from(*max_chars).unwrap_or(usize::MAX) {
                return refuse(format!("this must have at most {max_chars} characters"));
            }
            if !multiline && typed.contains('\n') {
                return refuse("this must be one line".to_owned());
            }
            Ok(())
        }
        FieldKind::Number { decimals } => {
            if is_decimal(typed, *decimals) {
                return Ok(());
            }
            refuse(format!(
                "this must be a number like -12.5, with at most {decimals} digits after the point"
            ))
        }
        FieldKind::Checkbox | FieldKind::Radio { .. } => match typed {
            "false" if field.required && matches!(field.kind, FieldKind::Checkbox) => Err(missing(field)),
            "true" | "false" => Ok(()),
            _ => refuse("this must be `true` or `false`".to_owned()),
        },
        FieldKind::Dropdown { options } if !options.iter().any(|option| option == typed) => {
            refuse("this must be one of the options".to_owned())
        }
        _ => check_line(pointer, typed),
    }
}

fn is_decimal(text: &str, decimals: u8) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let fraction_fits = !unsigned.contains('.') || fraction.len() <= usize::from(decimals);
    whole.len() <= 30 && digits(whole) && digits(fraction) && fraction_fits
}

fn check_radio_groups(
    contents: &Contents,
    recipient: &Recipient,
    values: &[(FieldId, Personal<String>)],
) -> Result<(), Refusal> {
    let group_of = |field: &Field| match &field.kind {
        FieldKind::Radio { group } => Some(group.clone()),
        _ => None,
    };
    for field in contents.fields_of(recipient.id) {
        let Some(group) = group_of(field) else { continue };
        let buttons: Vec<_> = contents
            .fields_of(recipient.id)
            .filter(|other| group_of(other).as_ref() == Some(&group))
            .collect();
        let is_chosen = |button: &Field| {
            values.iter().any(|(id, value)| *id == button.id && value.disclose().as_str() == "true")
        };
        let chosen = buttons.iter().filter(|button| is_chosen(button)).count();
        if chosen > 1 {
            let sentence = format!("only one button of “{group}” can be chosen");
            return Err(Refusal::at(Code::Invalid, value_pointer(field.id), sentence));
        }
        if chosen == 0 && buttons.iter().any(|button| button.required) {
            return Err(missing(field));
        }
    }
    Ok(())
}

/// Checks an adopted mark: signers have one, others have none.
pub fn check_adopted(
    role: Role,
    adopted: Option<&(AdoptionMethod, Personal<String>)>,
) -> Result<(), Refusal> {
    match (role, adopted) {
        (Role::Signer, Some((AdoptionMethod::Typed, name))) => check_line("/adopted/value", name.disclose()),
        (Role::Signer, Some((AdoptionMethod::Drawn, drawing))) => {
            DrawnMark::parse(drawing.disclose()).map(|_| ()).ok_or_else(|| {
                Refusal::at(
                    Code::Invalid,
                    "/adopted/value",
                    "the drawing cannot be read; clear it and draw again",
                )
            })
        }
        (Role::Signer, None) => {
            Err(Refusal::at(Code::FieldMissing, "/adopted", "adopt a signature by typing or drawing it"))
        }
        (_, None) => Ok(()),
        (_, Some(_)) => Err(Refusal::at(Code::Invalid, "/adopted", "this role gives no signature")),
    }
}

/// Whether `factors` identify a recipient who must pass `needed`.
pub fn is_identified(needed: Factor, factors: &[Factor]) -> bool {
    factors.contains(&needed)
}
