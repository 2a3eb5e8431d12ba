//! Every word that people see, in every language the house speaks.
//!
//! Pages and components call `t`, `fill` and `counted`, which read the page's language from the
//! context, so they must be called inside an owner and not in a task. Its law: a missing
//! translation does not compile, and neither does a missing plural form. How numbers are written
//! and which plural a number takes is CLDR's.

use bincode::{Decode, Encode};
use leptos::prelude::use_context;

/// The language a page is drawn in; a context of every page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum PageLanguage {
    /// English.
    #[default]
    English,
    /// Arabic.
    Arabic,
}

impl PageLanguage {
    /// All of them, each as a form's value and as it names itself.
    pub const ALL: [(Self, &str); 2] = [(Self::English, "English"), (Self::Arabic, "العربية")];

    /// The BCP 47 tag, for `lang` and the cookie.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
        }
    }

    /// The writing direction, for `dir`.
    #[must_use]
    pub const fn direction(self) -> &'static str {
        match self {
            Self::English => "ltr",
            Self::Arabic => "rtl",
        }
    }

    /// The language of a tag: its first part decides, so `ar-EG` is Arabic.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .map(|(language, _)| language)
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The first language of an `Accept-Language` header that the house speaks. Browsers write
    /// the header in the order of preference, so the weights are not read.
    #[must_use]
    pub fn preferred(accept_language: &str) -> Self {
        accept_language
            .split(',')
            .find_map(|range| Self::from_tag(range.split(';').next().unwrap_or_default()))
            .unwrap_or_default()
    }

    /// The number in the digits of the language.
    #[must_use]
    pub fn digits(self, number: &str) -> String {
        match self {
            Self::English => number.to_owned(),
            Self::Arabic => number
                .chars()
                .map(|digit| match digit.to_digit(10) {
                    Some(value) => char::from_u32(0x0660 + value).unwrap_or(digit),
                    None => digit,
                })
                .collect(),
        }
    }
}

/// Writes the catalogue: a name, then the English and the Arabic of it.
macro_rules! texts {
    ($($name:ident: $english:literal, $arabic:literal;)*) => {
        /// Something the house says.
        #[expect(missing_docs, reason = "each name is explained by its words")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Text { $($name),* }

        impl Text {
            /// Its words in a language; `{}` stands where something is to be filled in.
            #[must_use]
            pub const fn in_language(self, language: PageLanguage) -> &'static str {
                match (self, language) {
                    $((Self::$name, PageLanguage::English) => $english,
                      (Self::$name, PageLanguage::Arabic) => $arabic,)*
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

/// Writes the catalogue of what is counted: English has two forms (one, other), Arabic six (zero,
/// one, two, few, many, other).
macro_rules! counts {
    ($($name:ident: $english:expr, $arabic:expr;)*) => {
        /// Something the house counts.
        #[expect(missing_docs, reason = "each name is explained by its words")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Count { $($name),* }

        impl Count {
            const fn english(self) -> [&'static str; 2] {
                match self { $(Self::$name => $english),* }
            }

            const fn arabic(self) -> [&'static str; 6] {
                match self { $(Self::$name => $arabic),* }
            }
        }
    };
}

texts! {
    SkipToPage: "Skip to the page", "الانتقال إلى المحتوى";
    Lobby: "Lobby", "الردهة";
    Rooms: "Rooms", "الغرف";
    AllRooms: "All rooms", "كل الغرف";
    NoRooms: "There are no other rooms yet.", "لا غرف أخرى بعد.";
    MoreRooms: "More rooms", "غرف أخرى";
    CreateRoom: "Create a room", "إنشاء غرفة";
    Create: "Create", "إنشاء";
    RoomName: "Name of the room", "اسم الغرفة";
    RoomNameHelp: "Its address is made from the name and stays.", "يُشتق العنوان من الاسم ولا يتغير بعد ذلك.";
    RoomRenameHelp: "Its address stays as it is.", "يبقى عنوانها كما هو.";
    Topic: "Topic", "الموضوع";
    TopicHelp: "One line, shown beside the name.", "سطر واحد يظهر بجانب الاسم.";
    RoomMenu: "Room menu", "قائمة الغرفة";
    RoomSettings: "Room settings", "إعدادات الغرفة";
    AboutRoom: "About this room", "عن هذه الغرفة";
    NoTopic: "No topic yet", "لا موضوع بعد";
    OthersConfigure: "The owner of the room or of the server can change this.", "تغيير ذلك لمالك الغرفة أو مالك الخادم.";
    LeaveRoom: "Leave room", "مغادرة الغرفة";
    LeaveHelp: "You will not read what is said here until you join again.", "لن تُقرأ رسائل هذه الغرفة إلا بعد الانضمام من جديد.";
    LeaveRoleHelp: "You may change the name and the topic of this room. Joining again does not bring that back.", "تغيير اسم الغرفة وموضوعها متاح لك الآن، ولا يعود ذلك بالانضمام من جديد.";
    Leave: "Leave", "مغادرة";
    JoinRoom: "Join", "انضمام";
    JoinToRead: "Join the room to read and write.", "القراءة والكتابة متاحتان بعد الانضمام.";
    OpenRoom: "Open", "فتح";
    NotYetMade: "Nobody has made this room yet. Join and it is there.", "لم تُنشأ هذه الغرفة بعد. بالانضمام تصبح موجودة.";
    Back: "Back", "رجوع";
    Save: "Save", "حفظ";
    Saved: "Saved", "حُفظ";

    Messages: "Messages", "الرسائل";
    ShowOlder: "Show older messages", "عرض رسائل أقدم";
    ShowNewest: "Back to the newest messages", "العودة إلى أحدث الرسائل";
    RoomBegins: "The room begins here", "هنا بداية الغرفة";
    NewLine: "New", "جديد";
    NewLineAndAbove: "{} here, and more above", "{} هنا، وقبلها أخرى";
    EmptyRoom: "Nothing has been said here yet", "لا رسائل هنا بعد";
    EmptyRoomHelp: "Write the first message below.", "يمكنك كتابة أول رسالة في الأسفل.";
    MessageTo: "Message {}", "رسالة إلى {}";
    OutboxFull: "Too many messages wait. Send again when they are through.", "عدد الرسائل المنتظرة كبير. يمكن الإرسال بعد وصولها.";
    Send: "Send", "إرسال";
    Sent: "Sent", "أُرسلت";
    Pending: "Waiting to be sent", "في انتظار الإرسال";
    Failed: "Not sent", "لم تُرسل";
    Retry: "Retry", "إعادة المحاولة";
    Edit: "Edit", "تعديل";
    Discard: "Discard", "تجاهل";

    SeveralTyping: "Several people are typing", "يكتب الآن عدة أشخاص";
    OneTyping: "{} is typing", "يكتب الآن: {}";
    TwoTyping: "{} and {} are typing", "يكتب الآن: {} و{}";
    ThreeTyping: "{}, {} and {} are typing", "يكتب الآن: {} و{} و{}";

    Reconnecting: "Reconnecting", "جارٍ إعادة الاتصال";
    InSeconds: ", {} s", "، {} ث";
    RetryNow: "Retry now", "المحاولة الآن";
    NotKept: "Leave this page open: this browser keeps nothing", "يُرجى إبقاء الصفحة مفتوحة: هذا المتصفح لا يحفظ شيئًا";
    Offline: "Offline. Messages wait on this device", "لا اتصال. الرسائل محفوظة على هذا الجهاز";
    Updating: "Updating…", "جارٍ التحديث…";
    AfreshTooOld: "Much was said meanwhile. These are the newest messages.", "قيل الكثير في هذه الأثناء. هذه أحدث الرسائل.";
    AfreshDiverged: "The server's record of this room has changed. It was read anew.", "تغيّر سجل هذه الغرفة على الخادم. قُرئت من جديد.";
    SignedOut: "This page was signed out", "انتهت جلسة هذه الصفحة";
    StoppedReplaced: "This page is open elsewhere", "هذه الصفحة مفتوحة في مكان آخر";
    StoppedVersion: "A newer version is ready", "يتوفر إصدار أحدث";
    StoppedTooMany: "Too many tabs are open", "عدد الألسنة المفتوحة أكبر من اللازم";
    StoppedBroken: "The server refused this page", "رفض الخادم هذه الصفحة";
    Reload: "Reload", "إعادة التحميل";
    AppDidNotLoad: "The app did not load. You can read and write without it.", "لم يُحمّل التطبيق. القراءة والكتابة متاحتان من دونه.";

    Guest: "Guest", "ضيف";
    User: "User", "مستخدم";
    Admin: "Admin", "مدير";
    Owner: "Owner", "المالك";
    Visitor: "Visitor", "زائر";
    VisitorHelp: "No name yet", "بلا اسم بعد";
    Yourself: "You", "الحساب";
    YourName: "Your name", "الاسم";
    YourNameHelp: "Shown beside what you write from now on.", "يظهر بجانب ما يُكتب من الآن.";
    Language: "Language", "اللغة";

    SetUp: "Set up this server", "إعداد هذا الخادم";
    SetUpHelp: "Whoever presses the button owns this server", "من يضغط الزر يصبح مالك الخادم";
    SetUpOnce: "The owner can change the name and the topic of every room that they have joined. This page works once.", "للمالك تغيير اسم كل غرفة انضم إليها وموضوعها. تعمل هذه الصفحة مرة واحدة.";
    SetUpVoid: "This link does nothing any more", "لم يعد لهذا الرابط أثر";
    SetUpVoidHelp: "It worked once, and this server already has its owner; else it was not copied whole.", "يعمل الرابط مرة واحدة، ولهذا الخادم مالك بالفعل؛ وإلا فالرابط لم يُنسخ كاملًا.";
    BecomeOwner: "Become the owner", "تولّي الملكية";

    NotFound: "Not found", "غير موجودة";
    NotFoundHelp: "This page does not exist, or is not open to you.", "هذه الصفحة غير موجودة أو غير متاحة لك.";
    OurFault: "Something broke on the server", "حدث خطأ في الخادم";
    OurFaultHelp: "What you wrote may not be stored. Go back and try again.", "ربما لم يُحفظ ما كُتب. يمكن الرجوع وإعادة المحاولة.";
    Busy: "The server is busy", "الخادم مشغول";
    BusyHelp: "This can be read again in a moment.", "يمكن قراءة هذا من جديد بعد قليل.";
    GoToLobby: "Go to the lobby", "إلى الردهة";

    RefusedEmpty: "Nothing would be seen of it. Write at least one character.", "لن يظهر منه شيء. يلزم محرف واحد على الأقل.";
    RefusedBadName: "This name holds characters that names cannot have.", "في هذا الاسم محارف غير مسموح بها.";
    RefusedNotMember: "This room does not exist, or is not open to you.", "هذه الغرفة غير موجودة أو غير متاحة لك.";
    RefusedNotAllowed: "This is for others to do here.", "هذا الإجراء غير متاح لك هنا.";
    RefusedReused: "This was sent before as something else. Send it anew.", "أُرسل هذا من قبل بمحتوى آخر. يلزم إرساله من جديد.";
    RefusedDisabled: "This account is closed.", "هذا الحساب مغلق.";
    RefusedUnknown: "It did not reach the server.", "لم تصل إلى الخادم.";
    RefusedExpired: "It waited too long on this device.", "طال انتظارها على هذا الجهاز.";
    RefusedNotStorable: "The server could not store it. Sending it anew may help.", "تعذّر على الخادم حفظه. قد ينجح إرساله من جديد.";
    RefusedTooBig: "It is too long to be sent.", "إنه أطول من أن يُرسل.";

    UnsentEmpty: "There is nothing to be seen in it. Edit it.", "لا شيء يظهر فيها. يمكن تعديلها.";
    UnsentTooLong: "Edit it to make it shorter.", "يمكن تعديلها لتقصر.";
    UnsentNotMember: "You were not a member of this room then. Retry if you are now.", "لم تكن العضوية في هذه الغرفة قائمة حينها. يمكن إعادة المحاولة بعد الانضمام.";
    UnsentOutside: "You have left this room. Join it again to send this.", "تمت مغادرة هذه الغرفة. يمكن إرسالها بعد الانضمام من جديد.";
    UnsentNotAllowed: "Writing is not open to you in this room. Copy the text to keep it.", "الكتابة في هذه الغرفة غير متاحة لك. يمكن نسخ النص للاحتفاظ به.";
    UnsentReused: "Another message went out in its place. Retry sends this one.", "أُرسلت رسالة أخرى مكانها. تُرسل هذه بإعادة المحاولة.";
    UnsentDisabled: "This account is closed. Copy the text to keep it.", "هذا الحساب مغلق. يمكن نسخ النص للاحتفاظ به.";
    UnsentUnknown: "It did not reach the server. Retry sends it.", "لم تصل إلى الخادم. تُرسل بإعادة المحاولة.";
    UnsentExpired: "It waited too long on this device. Retry if it is still worth sending.", "طال انتظارها على هذا الجهاز. يمكن إعادة المحاولة إن بقي لها معنى.";
    UnsentNotStorable: "The server could not store it. Retry may help.", "تعذّر على الخادم حفظها. قد تنجح إعادة المحاولة.";
    UnsentTooBig: "It is too long for the way to the server. Edit it, and send it in parts.", "إنها أطول من أن تصل إلى الخادم. يمكن تعديلها وإرسالها على أجزاء.";

    LaterRoomsMade: "You made many rooms in a short time.", "أُنشئت غرف كثيرة في وقت قصير.";
    LaterRoomsEntered: "You entered many rooms in a short time.", "كثر الدخول إلى الغرف في وقت قصير.";
    LaterSent: "That was a lot in a short time.", "أُرسل الكثير في وقت قصير.";
    LaterBusy: "The server is busy.", "الخادم مشغول.";
    LaterUnavailable: "The server cannot store anything now.", "لا يستطيع الخادم الحفظ الآن.";
    LaterDiskFull: "The disk of the server is full.", "قرص الخادم ممتلئ.";
    LaterDraining: "The server is being restarted.", "تجري إعادة تشغيل الخادم.";
    GoesOnAt: "It will be done at {} if this page stays open.", "سيُنفَّذ عند الساعة {} إن بقيت هذه الصفحة مفتوحة.";
    GoesOnSoon: "It will be done within a minute if this page stays open.", "سيُنفَّذ خلال دقيقة إن بقيت هذه الصفحة مفتوحة.";
    SendingGoesOnAt: "Sending goes on by itself at {}.", "يُستأنف الإرسال تلقائيًا عند الساعة {}.";
    SendingGoesOnSoon: "Sending goes on by itself.", "يُستأنف الإرسال تلقائيًا.";
    NeedsServer: "This needs the server, which cannot be reached now. Nothing was lost.", "يلزم لهذا الخادم، والوصول إليه غير ممكن الآن. لم يُفقد شيء.";
    WaitsForConnection: "It waits for the connection, and is done then if this page stays open.", "في انتظار الاتصال، ثم يُنفَّذ إن بقيت هذه الصفحة مفتوحة.";
}

counts! {
    Members:
        ["{} member", "{} members"],
        ["لا أعضاء", "عضو واحد", "عضوان", "{} أعضاء", "{} عضوًا", "{} عضو"];
    Waiting:
        ["{} message is waiting", "{} messages are waiting"],
        ["لا رسائل في الانتظار", "رسالة في الانتظار", "رسالتان في الانتظار", "{} رسائل في الانتظار", "{} رسالة في الانتظار", "{} رسالة في الانتظار"];
    New:
        ["{} new", "{} new"],
        ["لا جديد", "رسالة جديدة", "رسالتان جديدتان", "{} رسائل جديدة", "{} رسالة جديدة", "{} رسالة جديدة"];
    AgainInSeconds:
        ["Try again in {} second.", "Try again in {} seconds."],
        ["يمكن إعادة المحاولة الآن.", "يمكن إعادة المحاولة بعد ثانية.", "يمكن إعادة المحاولة بعد ثانيتين.", "يمكن إعادة المحاولة بعد {} ثوانٍ.", "يمكن إعادة المحاولة بعد {} ثانية.", "يمكن إعادة المحاولة بعد {} ثانية."];
    AgainInMinutes:
        ["Try again in {} minute.", "Try again in {} minutes."],
        ["يمكن إعادة المحاولة الآن.", "يمكن إعادة المحاولة بعد دقيقة.", "يمكن إعادة المحاولة بعد دقيقتين.", "يمكن إعادة المحاولة بعد {} دقائق.", "يمكن إعادة المحاولة بعد {} دقيقة.", "يمكن إعادة المحاولة بعد {} دقيقة."];
    NextTry:
        ["Next try in {} s", "Next try in {} s"],
        ["المحاولة التالية الآن", "المحاولة التالية بعد ثانية", "المحاولة التالية بعد ثانيتين", "المحاولة التالية بعد {} ثوانٍ", "المحاولة التالية بعد {} ثانية", "المحاولة التالية بعد {} ثانية"];
    CharactersLeft:
        ["{} character left", "{} characters left"],
        ["لم يبقَ شيء", "بقي محرف واحد", "بقي محرفان", "بقيت {} محارف", "بقي {} محرفًا", "بقي {} محرف"];
    CharactersOver:
        ["{} character too many", "{} characters too many"],
        ["لا زيادة", "زيادة محرف واحد", "زيادة محرفين", "زيادة {} محارف", "زيادة {} محرفًا", "زيادة {} محرف"];
    CharactersMax:
        ["Too long: at most {} character.", "Too long: at most {} characters."],
        ["لا تُقبل أي محارف.", "أطول من اللازم: محرف واحد على الأكثر.", "أطول من اللازم: محرفان على الأكثر.", "أطول من اللازم: {} محارف على الأكثر.", "أطول من اللازم: {} محرفًا على الأكثر.", "أطول من اللازم: {} محرف على الأكثر."];
    RoomsMax:
        ["You are in {} room, which is the most.", "You are in {} rooms, which is the most."],
        ["لا يمكن دخول أي غرفة.", "غرفة واحدة هي الحد الأقصى.", "غرفتان هما الحد الأقصى.", "{} غرف هي الحد الأقصى.", "{} غرفة هي الحد الأقصى.", "{} غرفة هي الحد الأقصى."];
}

/// The language of the page that is being drawn; English where nobody provided one.
#[must_use]
pub fn language() -> PageLanguage {
    use_context().unwrap_or_default()
}

/// The words in the page's language.
#[must_use]
pub fn t(text: Text) -> &'static str {
    text.in_language(language())
}

/// The words with each `{}` in turn replaced by what is given.
#[must_use]
pub fn fill<'a>(text: Text, given: impl IntoIterator<Item = &'a str>) -> String {
    fill_words(t(text), given)
}

/// A number of new messages in digits, as it stands beside a name; empty for none. Above 999 they
/// are not counted, and neither is what is not known here.
#[must_use]
pub fn new_digits(count: u64, more: bool) -> String {
    const COUNT_MAX: u64 = 999;
    let plus = if more || count > COUNT_MAX { "+" } else { "" };
    let digits = || language().digits(&format!("{}{plus}", count.min(COUNT_MAX)));
    if count > 0 { digits() } else { String::new() }
}

/// The words for so many, in the plural form and the digits of the page's language.
#[must_use]
pub fn counted(count: Count, number: u64) -> String {
    counted_in(language(), count, number)
}

/// A name inside a sentence: isolated (FSI, PDI), so that one of the other direction does not turn
/// the sentence round.
#[must_use]
pub fn isolated(name: &str) -> String {
    format!("\u{2068}{name}\u{2069}")
}

/// The name of a room as it is shown: the lobby's, until somebody gives it another, is a word of
/// the house and stands in the reader's language.
#[must_use]
pub fn room_name(language: PageLanguage, everyone: bool, name: &str) -> &str {
    if everyone && name == Text::Lobby.in_language(PageLanguage::English) {
        Text::Lobby.in_language(language)
    } else {
        name
    }
}

fn counted_in(language: PageLanguage, count: Count, number: u64) -> String {
    let digits = language.digits(&grouped(number, language));
    let words = match language {
        PageLanguage::English => {
            let [one, other] = count.english();
            if number == 1 { one } else { other }
        }
        PageLanguage::Arabic => {
            let [zero, one, two, few, many, other] = count.arabic();
            match (number, number % 100) {
                (0, _) => zero,
                (1, _) => one,
                (2, _) => two,
                (_, 3..=10) => few,
                (_, 11..=99) => many,
                _ => other,
            }
        }
    };
    fill_words(words, [digits.as_str()])
}

/// The number with a mark before each three digits from the end, from five digits on.
fn grouped(number: u64, language: PageLanguage) -> String {
    let plain = number.to_string();
    if number < 10_000 {
        return plain;
    }
    let mark = if language == PageLanguage::Arabic { '٬' } else { ',' };
    let mut grouped = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            grouped.push(mark);
        }
        grouped.push(digit);
    }
    grouped
}

/// What is filled in is never looked at for places of its own: a person may be called `{}`.
fn fill_words<'a>(words: &str, given: impl IntoIterator<Item = &'a str>) -> String {
    let mut parts = words.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (part, given) in parts.zip(given) {
        filled.push_str(given);
        filled.push_str(part);
    }
    filled
}

#[cfg(test)]
mod tests {
    use leptos::prelude::{Owner, provide_context};

    use super::*;

    #[test]
    fn every_translation_has_the_same_places_to_fill() {
        for text in Text::ALL {
            let places = |language| text.in_language(language).matches("{}").count();
            assert_eq!(places(PageLanguage::English), places(PageLanguage::Arabic), "{text:?}");
        }
    }

    #[test]
    fn nothing_shouts() {
        for text in Text::ALL {
            let english = text.in_language(PageLanguage::English);
            assert!(!english.contains('!') && !english.contains("Oops"), "{text:?}: {english}");
        }
    }

    #[test]
    fn arabic_counts_in_six_forms_and_its_own_digits() {
        let said = |number| counted_in(PageLanguage::Arabic, Count::Members, number);
        assert_eq!(said(0), "لا أعضاء");
        assert_eq!(said(1), "عضو واحد");
        assert_eq!(said(2), "عضوان");
        assert_eq!(said(3), "٣ أعضاء");
        assert_eq!(said(110), "١١٠ أعضاء");
        assert_eq!(said(11), "١١ عضوًا");
        assert_eq!(said(99), "٩٩ عضوًا");
        assert_eq!(said(100), "١٠٠ عضو");
        assert_eq!(said(102), "١٠٢ عضو");
    }

    #[test]
    fn english_counts_in_two_forms() {
        let said = |number| counted_in(PageLanguage::English, Count::Members, number);
        assert_eq!((said(1).as_str(), said(0).as_str()), ("1 member", "0 members"));
        assert_eq!((said(9_999), said(12_345)), ("9999 members".into(), "12,345 members".into()));
    }

    #[test]
    fn a_name_that_looks_like_a_place_is_left_as_it_is() {
        assert_eq!(fill_words("{} and {} are typing", ["{}", "Mei"]), "{} and Mei are typing");
    }

    #[test]
    fn new_messages_are_counted_in_the_digits_of_the_page_up_to_999() {
        let said = |language, count, more| {
            Owner::new().with(|| {
                provide_context::<PageLanguage>(language);
                new_digits(count, more)
            })
        };
        assert_eq!(said(PageLanguage::English, 0, false), "");
        assert_eq!(said(PageLanguage::English, 3, true), "3+");
        assert_eq!(said(PageLanguage::Arabic, 12, false), "١٢");
        assert_eq!(said(PageLanguage::Arabic, 1_000, false), "٩٩٩+");
    }

    #[test]
    fn the_lobby_is_named_in_the_language_of_the_page_until_it_is_renamed() {
        assert_eq!(room_name(PageLanguage::Arabic, true, "Lobby"), "الردهة");
        assert_eq!(room_name(PageLanguage::English, true, "Lobby"), "Lobby");
        assert_eq!(room_name(PageLanguage::Arabic, true, "Harbour"), "Harbour");
        assert_eq!(room_name(PageLanguage::Arabic, false, "Lobby"), "Lobby");
    }

    #[test]
    fn the_first_known_language_of_the_header_is_taken() {
        assert_eq!(PageLanguage::preferred("de-DE,ar-EG;q=0.8,en;q=0.5"), PageLanguage::Arabic);
        assert_eq!(PageLanguage::preferred("*"), PageLanguage::English);
    }
}
