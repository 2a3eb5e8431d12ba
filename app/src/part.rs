//! A part of a page whose type is forgotten, so that what stands around it does not grow with it.
//!
//! leptos' `into_any` keeps for each type of view a dozen functions, among them a way to hydrate it
//! piece by piece, for pages whose code or data comes later. Here both are there before anything is
//! drawn, so a part is a box of one type, which has a few. Its law: a view's type is forgotten by
//! `into_part`, never by `into_any`.

use std::any::{Any, TypeId};

use leptos::attr::Attribute;
use leptos::attr::any_attribute::AnyAttribute;
use leptos::prelude::{AddAnyAttr, AnyView, IntoAny, Mountable, Render, RenderHtml};
use leptos::tachys::hydration::Cursor;
use leptos::tachys::renderer::types::{Element, Node};
use leptos::tachys::view::{Position, PositionState};

/// Makes a part of a view.
pub trait IntoPart {
    /// Forgets the view's type.
    fn into_part(self) -> AnyView;
}

impl<T: RenderHtml + Send> IntoPart for T {
    fn into_part(self) -> AnyView {
        // What leaves nothing in the document needs the mark that leptos puts there.
        if T::Owned::EXISTS {
            Part(Box::new(self.into_owned())).into_any()
        } else {
            self.into_any()
        }
    }
}

/// A view in a box: all of them are one type.
struct Part(Box<dyn View>);

/// What is asked of a view in a box.
trait View: Send {
    fn kind(&self) -> TypeId;
    fn draw(self: Box<Self>) -> Box<dyn State>;
    fn redraw(self: Box<Self>, state: &mut dyn Any);
    fn take_up(self: Box<Self>, cursor: &Cursor, position: &PositionState) -> Box<dyn State>;
    #[cfg(feature = "ssr")]
    fn write(self: Box<Self>, to: Paper<'_>);
}

/// What of a view is in the document.
struct Drawn {
    kind: TypeId,
    state: Box<dyn State>,
}

/// The state of some view.
trait State: Mountable + Any {}

impl<T: Mountable + Any> State for T {}

/// Where and how the server writes a view.
#[cfg(feature = "ssr")]
struct Paper<'a> {
    buffer: &'a mut String,
    position: &'a mut Position,
    escape: bool,
    mark_branches: bool,
    extra_attrs: Vec<AnyAttribute>,
}

impl<T: RenderHtml + Send + 'static> View for T {
    fn kind(&self) -> TypeId {
        TypeId::of::<T>()
    }

    fn draw(self: Box<Self>) -> Box<dyn State> {
        Box::new(self.build())
    }

    fn redraw(self: Box<Self>, state: &mut dyn Any) {
        if let Some(state) = state.downcast_mut() {
            self.rebuild(state);
        }
    }

    fn take_up(self: Box<Self>, cursor: &Cursor, position: &PositionState) -> Box<dyn State> {
        Box::new(self.hydrate::<true>(cursor, position))
    }

    #[cfg(feature = "ssr")]
    fn write(self: Box<Self>, to: Paper<'_>) {
        let Paper { buffer, position, escape, mark_branches, extra_attrs } = to;
        self.to_html_with_buf(buffer, position, escape, mark_branches, extra_attrs);
    }
}

impl Mountable for Drawn {
    fn unmount(&mut self) {
        self.state.unmount();
    }

    fn mount(&mut self, parent: &Element, marker: Option<&Node>) {
        self.state.mount(parent, marker);
    }

    fn insert_before_this(&self, child: &mut dyn Mountable) -> bool {
        self.state.insert_before_this(child)
    }

    fn elements(&self) -> Vec<Element> {
        self.state.elements()
    }
}

impl Render for Part {
    type State = Drawn;

    fn build(self) -> Drawn {
        Drawn { kind: self.0.kind(), state: self.0.draw() }
    }

    fn rebuild(self, drawn: &mut Drawn) {
        if self.0.kind() == drawn.kind {
            return self.0.redraw(&mut *drawn.state);
        }
        let mut new = self.build();
        drawn.insert_before_this(&mut new);
        drawn.unmount();
        *drawn = new;
    }
}

/// leptos never asks it of a part, but of the `AnyView` around it.
impl AddAnyAttr for Part {
    type Output<A: Attribute> = Self;

    fn add_any_attr<A: Attribute>(self, _attr: A) -> Self {
        self
    }
}

impl RenderHtml for Part {
    type AsyncOutput = Self;
    type Owned = Self;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Self {
        self
    }

    #[cfg_attr(not(feature = "ssr"), expect(unused_variables, reason = "nothing is written there"))]
    fn to_html_with_buf(
        self,
        buffer: &mut String,
        position: &mut Position,
        escape: bool,
        mark_branches: bool,
        extra_attrs: Vec<AnyAttribute>,
    ) {
        #[cfg(feature = "ssr")]
        self.0.write(Paper { buffer, position, escape, mark_branches, extra_attrs });
    }

    fn hydrate<const FROM_SERVER: bool>(self, cursor: &Cursor, position: &PositionState) -> Drawn {
        Drawn { kind: self.0.kind(), state: self.0.take_up(cursor, position) }
    }

    fn into_owned(self) -> Self {
        self
    }
}
