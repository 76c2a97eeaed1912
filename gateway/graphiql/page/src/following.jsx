// What GraphiQL leaves undone: its editors take the system's colours once, and the active tab may be out of sight.
import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect } from "react";

export function Following() {
  const { theme, tabs, activeTabIndex } = useGraphiQL(pick("theme", "tabs", "activeTabIndex"));
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    if (theme) return undefined;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setTheme(null);
    system.addEventListener("change", follow);
    return () => system.removeEventListener("change", follow);
  }, [theme, setTheme]);
  useEffect(() => {
    const list = document.querySelector(".graphiql-tabs");
    const show = () => list.querySelector(".graphiql-tab-active")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    // A panel that opens or a narrower window takes room from the tabs; a longer name takes it from their neighbours.
    const sizes = new ResizeObserver(show);
    sizes.observe(list);
    list.querySelectorAll(".graphiql-tab").forEach((tab) => sizes.observe(tab));
    show();
    return () => sizes.disconnect();
  }, [activeTabIndex, tabs.length]);
  return null;
}
