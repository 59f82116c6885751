//! Nodes, and the ways to find them.

use core::fmt;

use super::super::check::DEEPEST;
use super::super::header;
use super::property::Property;
use super::{Cursor, Passed, Tree};

/// A node of a [`Tree`].
#[derive(Clone, Copy)]
pub struct Node<'a> {
    tree: Tree<'a>,
    /// Offset of its BEGIN_NODE token.
    pub(in super::super) offset: usize,
    /// Offset of the token after its name.
    pub(in super::super) body: usize,
    name: &'a [u8],
}

impl PartialEq for Node<'_> {
    /// Whether both are the same node of the same tree.
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.tree.bytes, other.tree.bytes) && self.offset == other.offset
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.path())
    }
}

impl<'a> Tree<'a> {
    /// The node whose BEGIN_NODE token is at `offset`.
    pub(in super::super) fn node_at(&self, offset: usize) -> Option<Node<'a>> {
        let mut cursor = self.cursor(offset);
        match cursor.pass()? {
            Passed::BeginNode(name) => Some(Node { tree: *self, offset, body: cursor.offset, name }),
            _ => None,
        }
    }

    /// The root node.
    pub fn root(&self) -> Node<'a> {
        let mut offset = self.header.structure_offset;
        // A checked tree has a root after its leading NOPs; without one, this node is empty.
        while let Some(Passed::Nop) = self.cursor(offset).pass() {
            offset += header::TOKEN_SIZE;
        }
        self.node_at(offset).unwrap_or(Node { tree: *self, offset, body: offset, name: b"" })
    }

    /// Every node, each before its children, the root first.
    pub fn nodes(&self) -> Nodes<'a> {
        Nodes { tree: *self, cursor: self.cursor(self.header.structure_offset) }
    }

    /// The node at `path`: `/soc/serial@7e201000`, or an alias with or without more behind it (`serial0`, `ethernet0/mdio@e14`).
    ///
    /// A component without `@` also finds the first node whose name is the same up to its `@`, as U-Boot and Linux have it:
    /// `/memory` is `/memory@0`. Doubled and trailing slashes do not matter.
    pub fn find(&self, path: &str) -> Option<Node<'a>> {
        self.walk(path).ok()
    }

    /// As [`Tree::find`]; where that fails, the component that was not there.
    pub fn walk<'p>(&self, path: &'p str) -> Result<Node<'a>, &'p str> {
        if path.starts_with('/') {
            return self.root().descend(path);
        }
        let (alias, rest) = path.split_once('/').unwrap_or((path, ""));
        let target = self.alias(alias).ok_or(alias)?;
        // An alias of an alias would let a tree send us in circles: its target is a full path, or nothing.
        let node =
            if target.starts_with('/') { self.root().descend(target).map_err(|_| alias)? } else { return Err(alias) };
        node.descend(rest)
    }

    /// The path that `/aliases` has for `name`.
    pub fn alias(&self, name: &str) -> Option<&'a str> {
        self.root().child("aliases")?.property(name)?.string()
    }

    /// The node whose `phandle` (or, in old trees, `linux,phandle`) is `phandle`.
    pub fn by_phandle(&self, phandle: u32) -> Option<Node<'a>> {
        self.nodes().find(|node| node.phandle() == Some(phandle))
    }
}

impl<'a> Node<'a> {
    /// Its name with unit address, `serial@7e201000`; empty for the root.
    pub fn name(&self) -> &'a str {
        // A checked tree's names are ASCII.
        core::str::from_utf8(self.name).unwrap_or_default()
    }

    /// The tree it is in.
    pub fn tree(&self) -> Tree<'a> {
        self.tree
    }

    /// Its full path, to be displayed.
    pub fn path(&self) -> NodePath<'a> {
        NodePath(*self)
    }

    /// Its properties, in the tree's order.
    pub fn properties(&self) -> Properties<'a> {
        Properties { cursor: self.tree.cursor(self.body) }
    }

    /// The property called `name`.
    pub fn property(&self, name: &str) -> Option<Property<'a>> {
        let mut cursor = self.tree.cursor(self.body);
        loop {
            let at = cursor;
            match cursor.pass()? {
                Passed::Property(offset) if self.tree.is_string(offset, name) => {
                    return at.property(offset);
                }
                Passed::Property(_) | Passed::Nop => {}
                Passed::BeginNode(_) | Passed::EndNode => return None,
            }
        }
    }

    /// Its children, in the tree's order.
    pub fn children(&self) -> Children<'a> {
        Children { tree: self.tree, cursor: self.tree.cursor(self.body) }
    }

    /// The child called `name`; without `@` in `name`, else the first child whose name is the same up to its `@`.
    pub fn child(&self, name: &str) -> Option<Node<'a>> {
        if let Some(exact) = self.children().find(|child| child.name == name.as_bytes()) {
            return Some(exact);
        }
        if name.contains('@') {
            return None;
        }
        self.children()
            .find(|child| child.name.strip_prefix(name.as_bytes()).is_some_and(|unit| unit.starts_with(b"@")))
    }

    /// The node at `path` below this one; where there is none, the component that was not there.
    pub fn descend<'p>(&self, path: &'p str) -> Result<Node<'a>, &'p str> {
        let mut node = *self;
        for component in path.split('/').filter(|component| !component.is_empty()) {
            node = node.child(component).ok_or(component)?;
        }
        Ok(node)
    }

    /// The node it is a child of; `None` for the root.
    pub fn parent(&self) -> Option<Node<'a>> {
        let mut parent = None;
        self.ancestors(|ancestor| parent = Some(ancestor));
        parent
    }

    /// How deep it lies: 1 for the root.
    pub fn depth(&self) -> usize {
        let mut depth = 1;
        self.ancestors(|_| depth += 1);
        depth
    }

    /// Calls `visit` for each node around this one, the root first, the parent last.
    pub(super) fn ancestors(&self, mut visit: impl FnMut(Node<'a>)) {
        let mut open = [0usize; DEEPEST];
        let mut depth = 0usize;
        let mut cursor = self.tree.cursor(self.tree.header.structure_offset);
        while cursor.offset < self.offset {
            let at = cursor.offset;
            match cursor.pass() {
                Some(Passed::BeginNode(_)) => {
                    if let Some(slot) = open.get_mut(depth) {
                        *slot = at;
                    }
                    depth += 1;
                }
                Some(Passed::EndNode) => depth = depth.saturating_sub(1),
                Some(_) => {}
                None => return,
            }
        }
        open.iter().take(depth).filter_map(|&at| self.tree.node_at(at)).for_each(&mut visit);
    }

    /// Whether the device may be used: no `status`, or one of `okay` and `ok`.
    ///
    /// A node in a disabled node counts by its own `status` only, as in Linux's early code and Xen's.
    pub fn is_enabled(&self) -> bool {
        match self.property("status") {
            None => true,
            Some(status) => matches!(status.string(), Some("okay" | "ok")),
        }
    }

    /// Whether `compatible` lists `name`.
    pub fn is_compatible(&self, name: &str) -> bool {
        self.property("compatible").is_some_and(|property| property.lists(name))
    }

    /// What others refer to it by.
    pub fn phandle(&self) -> Option<u32> {
        self.property("phandle").or_else(|| self.property("linux,phandle")).and_then(|property| property.u32())
    }

    /// Offset of the token behind its END_NODE.
    pub(in super::super) fn end(&self) -> usize {
        let mut cursor = self.tree.cursor(self.offset);
        let mut depth = 0usize;
        loop {
            match cursor.pass() {
                Some(Passed::BeginNode(_)) => depth += 1,
                Some(Passed::EndNode) if depth <= 1 => return cursor.offset,
                Some(Passed::EndNode) => depth -= 1,
                Some(_) => {}
                None => return cursor.offset,
            }
        }
    }
}

/// Iterator over [`Tree::nodes`].
#[derive(Clone)]
pub struct Nodes<'a> {
    tree: Tree<'a>,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            let offset = self.cursor.offset;
            if let Passed::BeginNode(name) = self.cursor.pass()? {
                return Some(Node { tree: self.tree, offset, body: self.cursor.offset, name });
            }
        }
    }
}

/// Iterator over [`Node::properties`].
#[derive(Clone)]
pub struct Properties<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        loop {
            let at = self.cursor;
            match self.cursor.pass()? {
                Passed::Property(name) => return at.property(name),
                Passed::Nop => {}
                // Properties come before the first child: stay here, so that the iterator stays at its end.
                Passed::BeginNode(_) | Passed::EndNode => {
                    self.cursor = at;
                    return None;
                }
            }
        }
    }
}

/// Iterator over [`Node::children`].
#[derive(Clone)]
pub struct Children<'a> {
    tree: Tree<'a>,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            let at = self.cursor;
            match self.cursor.pass()? {
                Passed::BeginNode(name) => {
                    let child = Node { tree: self.tree, offset: at.offset, body: self.cursor.offset, name };
                    self.cursor.offset = child.end();
                    return Some(child);
                }
                Passed::EndNode => {
                    self.cursor = at;
                    return None;
                }
                Passed::Property(_) | Passed::Nop => {}
            }
        }
    }
}

/// A node's full path, as [`fmt::Display`] writes it: `/soc/serial@7e201000`, `/` for the root.
#[derive(Clone, Copy)]
pub struct NodePath<'a>(Node<'a>);

impl fmt::Display for NodePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(node) = *self;
        let mut depth = 0usize;
        let mut result = Ok(());
        node.ancestors(|ancestor| {
            if depth > 0 && result.is_ok() {
                result = write!(f, "/{}", ancestor.name());
            }
            depth += 1;
        });
        result?;
        // The root's own name does not count, whatever an old compiler put there.
        write!(f, "/{}", if depth == 0 { "" } else { node.name() })
    }
}
