//! The browser's database: the messages that wait, by op id, and who may send a tab's, by lease.
//!
//! Called by `outbox` alone. A browser may have none, refuse it (some do in private windows) or run
//! out of room; then the answer is nothing or `false`, and nothing fails. Its law: a transaction is
//! never held over an `await`; its requests are made when it begins, or in the call that answers one
//! of its own, since it ends by itself as soon as it has nothing to do.

use futures_channel::oneshot::{self, Receiver};
use js_sys::{Array, Function, Uint8Array};
use leptos::prelude::window;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, IdbDatabase, IdbObjectStore, IdbRequest, IdbTransaction, IdbTransactionMode};

const NAME: &str = "wasmchannel";
/// Raised when the stores change; the change is made in `lay_out`.
const LAYOUT: u32 = 1;
const OUTBOX: &str = "outbox";
const LEASES: &str = "leases";

/// The database, open for as long as the page lives or until a page of a newer build wants it.
pub(crate) struct Database(IdbDatabase);

impl Database {
    /// Opens it.
    pub(crate) async fn open() -> Option<Self> {
        let factory = window().indexed_db().ok().flatten()?;
        let request = factory.open_with_u32(NAME, LAYOUT).ok()?;
        request.set_onupgradeneeded(Some(&once(|event| lay_out(&event))));
        answered(&request).await.then_some(())?;
        let database: IdbDatabase = request.result().ok()?.dyn_into().ok()?;
        let open = database.clone();
        database.set_onversionchange(Some(&once(move |_| open.close())));
        Some(Self(database))
    }

    /// All that waits, of every tab.
    pub(crate) async fn all(&self) -> Option<Vec<Vec<u8>>> {
        let (_, outbox) = self.begin(OUTBOX, IdbTransactionMode::Readonly)?;
        let request = outbox.get_all().ok()?;
        answered(&request).await.then_some(())?;
        let all: Array = request.result().ok()?.dyn_into().ok()?;
        let bytes = all.iter().filter_map(|it| it.dyn_into::<Uint8Array>().ok());
        Some(bytes.map(|bytes| bytes.to_vec()).collect())
    }

    /// Keeps this under a key; tells when it is there. Changes are made in the order of the calls.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) -> Option<Receiver<bool>> {
        let (change, outbox) = self.begin(OUTBOX, IdbTransactionMode::Readwrite)?;
        outbox.put_with_key(&Uint8Array::from(bytes), &key.into()).ok()?;
        Some(committed(&change))
    }

    /// Forgets what is kept under a key.
    pub(crate) fn remove(&self, key: &str) {
        if let Some((_, outbox)) = self.begin(OUTBOX, IdbTransactionMode::Readwrite) {
            let _ = outbox.delete(&key.into());
        }
    }

    /// Takes or renews a lease, unless it is another holder's and not over. In one transaction, so
    /// that of two only one gets it.
    pub(crate) async fn lease(&self, name: &str, holder: &str, now: i64, until: i64) -> bool {
        let Some((change, leases)) = self.begin(LEASES, IdbTransactionMode::Readwrite) else {
            return false;
        };
        let Ok(request) = leases.get(&name.into()) else { return false };
        let (key, lease) = (JsValue::from(name), format!("{until} {holder}"));
        let (holder, asked, given_up) = (holder.to_owned(), request.clone(), change.clone());
        request.set_onsuccess(Some(&once(move |_| {
            let known = asked.result().ok().and_then(|known| known.as_string());
            let known = known.as_deref().and_then(|known| known.split_once(' '));
            let others = known.is_some_and(|(until, other)| {
                other != holder && until.parse().is_ok_and(|until: i64| until > now)
            });
            let put = !others && leases.put_with_key(&lease.into(), &key).is_ok();
            if !put {
                let _ = given_up.abort();
            }
        })));
        committed(&change).await.unwrap_or(false)
    }

    /// Ends a lease.
    pub(crate) fn end_lease(&self, name: &str) {
        if let Some((_, leases)) = self.begin(LEASES, IdbTransactionMode::Readwrite) {
            let _ = leases.delete(&name.into());
        }
    }

    fn begin(
        &self,
        store: &str,
        mode: IdbTransactionMode,
    ) -> Option<(IdbTransaction, IdbObjectStore)> {
        let transaction = self.0.transaction_with_str_and_mode(store, mode).ok()?;
        let store = transaction.object_store(store).ok()?;
        Some((transaction, store))
    }
}

/// Makes the stores of a database that is new.
fn lay_out(event: &Event) {
    let request = event.target().and_then(|target| target.dyn_into::<IdbRequest>().ok());
    let database = request.and_then(|it| it.result().ok()?.dyn_into::<IdbDatabase>().ok());
    for store in [OUTBOX, LEASES] {
        let _ = database.as_ref().map(|database| database.create_object_store(store));
    }
}

async fn answered(request: &IdbRequest) -> bool {
    let (heard, told) = hear("success");
    request.set_onsuccess(Some(&heard));
    request.set_onerror(Some(&heard));
    told.await.unwrap_or(false)
}

fn committed(change: &IdbTransaction) -> Receiver<bool> {
    let (heard, told) = hear("complete");
    change.set_oncomplete(Some(&heard));
    change.set_onabort(Some(&heard));
    told
}

/// A listener for the first of several events, and whether it was the good one.
fn hear(good: &'static str) -> (Function, Receiver<bool>) {
    let (tell, told) = oneshot::channel();
    let heard = once(move |event| {
        let _ = tell.send(event.type_() == good);
    });
    (heard, told)
}

fn once(act: impl FnOnce(Event) + 'static) -> Function {
    Closure::once_into_js(act).unchecked_into()
}
