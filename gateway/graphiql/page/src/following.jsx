// What GraphiQL leaves undone: its editors take the system's colours once, and a new tab may open out of sight.
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
    document.querySelector(".graphiql-tab-active")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [activeTabIndex, tabs.length]);
  return null;
}
